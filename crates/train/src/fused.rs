//! The optimisers' update rules over memory, one pass for all of a parameter's buffers.
//!
//! An update of ResNet18 is bound by memory: written as tensor operations, weight, gradient and moments travel to the processor once an
//! operation; here, once. Elements are independent and no sum is reordered, so the result depends on neither threads nor vector width.

use std::ops::{Add, Div, Mul, Sub};

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// Elements of one task of the thread pool.
const CHUNK: usize = 1 << 16;

/// f32 or f64: what the rules need of a number.
trait Real: Copy + Send + Sync + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// The number, rounded.
    fn of(value: f64) -> Self;
    /// Square root.
    fn root(self) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}

/// Constants of one SGD step; rules of `torch.optim.SGD` with dampening 0.
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Momentum, 0 for none.
    pub momentum: f64,
    /// Nesterov's variant.
    pub nesterov: bool,
    /// Weight decay, part of the gradient.
    pub decay: f64,
}

/// Constants of one AdamW step; rules of `torch.optim.AdamW`.
#[derive(Debug, Clone, Copy)]
pub struct Adamw {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay, decoupled from the gradient.
    pub decay: f64,
    /// Number of this step, from 1.
    pub step: i64,
}

impl Adamw {
    /// `1 - beta^step`, the bias corrections of both moments.
    pub fn corrections(&self) -> (f64, f64) {
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        (1.0 - self.beta1.powi(step), 1.0 - self.beta2.powi(step))
    }
}

/// Whether both tensors order their elements alike in memory.
fn alike(a: &Tensor, b: &Tensor) -> bool {
    let sides = a.size();
    let (a, b) = (a.stride(), b.stride());
    sides.iter().zip(a.iter().zip(&b)).all(|(side, (a, b))| *side <= 1 || a == b)
}

/// `tensor` with its elements ordered in memory as those of `like`.
pub fn ordered_as(tensor: &Tensor, like: &Tensor) -> Tensor {
    if alike(tensor, like) {
        return tensor.shallow_clone();
    }
    let mut copy = like.empty_like();
    copy.copy_(tensor);
    copy
}

/// Whether the rules can work on this parameter's memory: on the CPU, dense, f32 or f64.
pub fn is_possible(value: &Tensor) -> bool {
    value.device() == Device::Cpu && matches!(value.kind(), Kind::Float | Kind::Double)
}

/// A tensor's memory, in its own order.
///
/// # Safety
/// `tensor` is dense, on the CPU, of type `T`, and nothing else reads or writes it while the slice lives.
#[allow(clippy::mut_from_ref, reason = "a Tensor is a handle; the memory is libtorch's")]
unsafe fn memory<T>(tensor: &Tensor) -> &mut [T] {
    // SAFETY: by the caller's promise the pointer is valid for all elements, aligned for T and not aliased.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), tensor.numel()) }
}

/// One SGD step of one parameter. `momentum` is its buffer; `first`: it holds nothing yet.
pub fn sgd(value: &Tensor, grad: &Tensor, momentum: &Tensor, first: bool, rule: Sgd) {
    let grad = ordered_as(grad, value);
    // SAFETY: is_possible was asked; value, grad and momentum are different tensors of the same shape, kind and order.
    unsafe {
        match value.kind() {
            Kind::Double => sgd_all::<f64>(memory(value), memory(&grad), memory(momentum), first, rule),
            _ => sgd_all::<f32>(memory(value), memory(&grad), memory(momentum), first, rule),
        }
    }
}

/// One AdamW step of one parameter with its two moments.
pub fn adamw(value: &Tensor, grad: &Tensor, moments: [&Tensor; 2], rule: Adamw) {
    let grad = ordered_as(grad, value);
    // SAFETY: as in `sgd`.
    unsafe {
        match value.kind() {
            Kind::Double => {
                adamw_all::<f64>(memory(value), memory(&grad), memory(moments[0]), memory(moments[1]), rule);
            }
            _ => adamw_all::<f32>(memory(value), memory(&grad), memory(moments[0]), memory(moments[1]), rule),
        }
    }
}

fn sgd_all<T: Real>(value: &mut [T], grad: &[T], momentum: &mut [T], first: bool, rule: Sgd) {
    let chunks = value.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).zip(momentum.par_chunks_mut(CHUNK));
    chunks.for_each(|((value, grad), momentum)| sgd_chunk(value, grad, momentum, first, rule));
}

fn sgd_chunk<T: Real>(value: &mut [T], grad: &[T], momentum: &mut [T], first: bool, rule: Sgd) {
    let (lr, keep, decay) = (T::of(rule.lr), T::of(rule.momentum), T::of(rule.decay));
    for ((value, grad), momentum) in value.iter_mut().zip(grad).zip(momentum) {
        let decayed = *grad + decay * *value;
        // PyTorch starts the buffer with the first gradient itself.
        *momentum = if first { decayed } else { keep * *momentum + decayed };
        let way = if rule.nesterov { decayed + keep * *momentum } else { *momentum };
        *value = *value - lr * way;
    }
}

fn adamw_all<T: Real>(value: &mut [T], grad: &[T], first: &mut [T], second: &mut [T], rule: Adamw) {
    let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
    let chunks = value.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).zip(moments);
    chunks.for_each(|((value, grad), (first, second))| adamw_chunk(value, grad, first, second, rule));
}

fn adamw_chunk<T: Real>(value: &mut [T], grad: &[T], first: &mut [T], second: &mut [T], rule: Adamw) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { adamw_chunk_avx2(value, grad, first, second, rule) };
        return;
    }
    adamw_elements(value, grad, first, second, rule);
}

/// The same operations in the same order, eight elements at a time: roots and divisions are what this rule waits for.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn adamw_chunk_avx2<T: Real>(value: &mut [T], grad: &[T], first: &mut [T], second: &mut [T], rule: Adamw) {
    adamw_elements(value, grad, first, second, rule);
}

#[inline(always)]
fn adamw_elements<T: Real>(value: &mut [T], grad: &[T], first: &mut [T], second: &mut [T], rule: Adamw) {
    let (correction1, correction2) = rule.corrections();
    let (keep1, new1) = (T::of(rule.beta1), T::of(1.0 - rule.beta1));
    let (keep2, new2) = (T::of(rule.beta2), T::of(1.0 - rule.beta2));
    let (eps, shrink) = (T::of(rule.eps), T::of(1.0 - rule.lr * rule.decay));
    let (step, root2) = (T::of(rule.lr / correction1), T::of(correction2.sqrt()));
    for ((value, grad), (first, second)) in value.iter_mut().zip(grad).zip(first.iter_mut().zip(second)) {
        *first = keep1 * *first + new1 * *grad;
        *second = keep2 * *second + new2 * *grad * *grad;
        *value = shrink * *value - step * *first / (second.root() / root2 + eps);
    }
}
