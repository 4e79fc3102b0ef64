//! JPEG-LS, lossless and near-lossless, one component.
//!
//! Source: ITU-T T.87 (ISO/IEC 14495-1); names and section numbers in the comments are its own. Restart intervals, mapping
//! tables and the point transform, which CT does not use, are errors.

/// Contexts of the regular mode (A.3.4), then the two of run interruption (A.7.2).
const CONTEXTS: usize = 365;

/// The order of the run length codes (table A.1).
const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Samples of a picture of `rows` x `columns`, row by row.
///
/// # Errors
/// The stream is truncated or corrupt, of another size, or uses what is not supported.
pub fn decode(stream: &[u8], rows: usize, columns: usize) -> Result<Vec<u16>, String> {
    let (parameters, scan) = parameters(stream, rows, columns)?;
    Scan::new(parameters, scan).all(rows, columns)
}

/// Coding parameters (C.2.4.1.1).
#[derive(Debug, Clone, Copy)]
struct Parameters {
    maxval: i64,
    near: i64,
    /// T1, T2, T3.
    thresholds: [i64; 3],
    reset: i64,
}

/// A preset of the stream's header; 0 stands for the default.
#[derive(Default)]
struct Preset {
    maxval: i64,
    thresholds: [i64; 3],
    reset: i64,
}

/// Reads the markers up to the scan, and returns what follows them.
fn parameters(stream: &[u8], rows: usize, columns: usize) -> Result<(Parameters, &[u8]), String> {
    let ends = || "the stream ends in its header".to_owned();
    let mut rest = stream.strip_prefix(&[0xFF, 0xD8]).ok_or("no JPEG-LS stream: the start marker is missing")?;
    let (mut precision, mut preset) = (None, Preset::default());
    loop {
        let [0xFF, marker, high, low, after @ ..] = rest else { return Err(ends()) };
        // A marker may be filled up with FF.
        if *marker == 0xFF {
            rest = &rest[1..];
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2).ok_or_else(ends)?;
        let (segment, next) = after.split_at_checked(length).ok_or_else(ends)?;
        let pair =
            |at: usize| segment.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).ok_or_else(ends);
        match marker {
            0xF7 => {
                let (height, width) = (usize::from(pair(1)?), usize::from(pair(3)?));
                if (height, width) != (rows, columns) || segment.get(5) != Some(&1) {
                    return Err(format!("expected one component of {rows} x {columns}, found {height} x {width}"));
                }
                precision = Some(i64::from(segment[0])).filter(|bits| (2..=16).contains(bits));
            }
            0xF8 if segment.first() == Some(&1) => {
                let value = |index: usize| pair(1 + 2 * index).map(i64::from);
                preset = Preset { maxval: value(0)?, thresholds: [value(1)?, value(2)?, value(3)?], reset: value(4)? };
            }
            0xF8 => return Err("mapping tables and large sizes are not supported".to_owned()),
            0xDD if segment.iter().any(|byte| *byte != 0) => {
                return Err("restart intervals are not supported".to_owned());
            }
            0xDA => {
                let [1, _, 0, near, _, 0] = segment else {
                    return Err("a scan of several components, or with a mapping table or point transform".to_owned());
                };
                let precision = precision.ok_or("no frame header with a precision of 2 to 16 bits")?;
                return Ok((Parameters::new(precision, i64::from(*near), &preset)?, next));
            }
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err("JPEG, but not JPEG-LS".to_owned()),
            _ => {}
        }
        rest = next;
    }
}

impl Parameters {
    fn new(precision: i64, near: i64, preset: &Preset) -> Result<Self, String> {
        let most = (1 << precision) - 1;
        let or = |value: i64, default: i64| if value == 0 { default } else { value };
        let maxval = or(preset.maxval, most);
        let thresholds = default_thresholds(maxval, near);
        let thresholds = [0, 1, 2].map(|index| or(preset.thresholds[index], thresholds[index]));
        let reset = or(preset.reset, 64);
        let [t1, t2, t3] = thresholds;
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= maxval;
        if maxval > most || !ordered || near > maxval.min(511) / 2 || !(3..=maxval.max(255)).contains(&reset) {
            return Err("coding parameters out of range".to_owned());
        }
        Ok(Self { maxval, near, thresholds, reset })
    }

    /// Of quantized errors (A.2.1).
    fn range(&self) -> i64 {
        (self.maxval + 2 * self.near) / self.step() + 1
    }

    fn step(&self) -> i64 {
        2 * self.near + 1
    }

    /// A gradient as -4..=4 (A.3.3).
    fn quantize(&self, gradient: i64) -> i64 {
        let size = gradient.abs();
        let level =
            if size <= self.near { 0 } else { 1 + self.thresholds.iter().filter(|least| size >= **least).count() };
        level as i64 * gradient.signum()
    }

    /// A sample from its prediction and error (A.4.5, A.5).
    fn sample(&self, prediction: i64, error: i64) -> i64 {
        let value = prediction + error * self.step();
        let turn = self.range() * self.step();
        let value = match value {
            low if low < -self.near => low + turn,
            high if high > self.maxval + self.near => high - turn,
            same => same,
        };
        value.clamp(0, self.maxval)
    }
}

/// C.2.4.1.1.1.
fn default_thresholds(maxval: i64, near: i64) -> [i64; 3] {
    let clamp = |value: i64, least: i64| if value > maxval || value < least { least } else { value };
    let basic = if maxval >= 128 {
        let factor = (maxval.min(4095) + 128) / 256;
        [factor + 2 + 3 * near, factor * 4 + 3 + 5 * near, factor * 17 + 4 + 7 * near]
    } else {
        let factor = 256 / (maxval + 1);
        [(3 / factor + 3 * near).max(2), (7 / factor + 5 * near).max(3), (21 / factor + 7 * near).max(4)]
    };
    let t1 = clamp(basic[0], near + 1);
    let t2 = clamp(basic[1], t1);
    [t1, t2, clamp(basic[2], t2)]
}

/// Bits of a scan: after a byte FF, the next one has seven (A.1).
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    current: u8,
    left: u32,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<u32, String> {
        if self.left == 0 {
            let byte = *self.bytes.get(self.at).ok_or("the stream ends in its scan")?;
            let stuffed = self.at > 0 && self.current == 0xFF;
            if stuffed && byte >= 0x80 {
                return Err("a marker within the scan".to_owned());
            }
            (self.current, self.left) = (byte, if stuffed { 7 } else { 8 });
            self.at += 1;
        }
        self.left -= 1;
        Ok(u32::from(self.current >> self.left & 1))
    }

    fn number(&mut self, bits: u32) -> Result<i64, String> {
        (0..bits).try_fold(0, |value, _| Ok(value << 1 | i64::from(self.bit()?)))
    }

    /// A Golomb code of order `k` (A.5.3).
    fn golomb(&mut self, k: u32, limit: u32, bits: u32) -> Result<i64, String> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > limit {
                return Err("a code longer than any".to_owned());
            }
        }
        if zeros < limit.saturating_sub(bits + 1) {
            return Ok(i64::from(zeros) << k | self.number(k)?);
        }
        Ok(self.number(bits)? + 1)
    }
}

/// Statistics of a context: A, B, C, N of the standard; in the two of run interruption B is Nn.
#[derive(Clone, Copy)]
struct Context {
    a: i64,
    b: i64,
    c: i64,
    n: i64,
}

/// The Golomb order: the least k with n * 2^k >= a.
fn order(n: i64, a: i64) -> Result<u32, String> {
    (0..32).find(|k| n << k >= a).ok_or_else(|| "statistics out of range".to_owned())
}

impl Context {
    /// A.6.
    fn update(&mut self, error: i64, step: i64, reset: i64) {
        self.b += error * step;
        self.a += error.abs();
        if self.n == reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
    }
}

/// The state of a scan.
struct Scan<'a> {
    parameters: Parameters,
    bits: Bits<'a>,
    contexts: Vec<Context>,
    run_index: usize,
    /// Bits of a quantized error.
    error_bits: u32,
    limit: u32,
}

/// Bits that hold the numbers below `count`.
fn bits_for(count: i64) -> u32 {
    i64::BITS - (count - 1).leading_zeros()
}

impl<'a> Scan<'a> {
    fn new(parameters: Parameters, bytes: &'a [u8]) -> Self {
        let range = parameters.range();
        let start = Context { a: ((range + 32) / 64).max(2), b: 0, c: 0, n: 1 };
        let sample_bits = bits_for(parameters.maxval + 1).max(2);
        Self {
            parameters,
            bits: Bits { bytes, at: 0, current: 0, left: 0 },
            contexts: vec![start; CONTEXTS + 2],
            run_index: 0,
            error_bits: bits_for(range),
            limit: 2 * (sample_bits + sample_bits.max(8)),
        }
    }

    fn all(mut self, rows: usize, columns: usize) -> Result<Vec<u16>, String> {
        // A column on each side: left of the first pixel is the one above it, right of the last above the last one (A.2.1).
        let (mut above, mut line) = (vec![0; columns + 2], vec![0; columns + 2]);
        let mut samples = Vec::new();
        for _ in 0..rows {
            above[columns + 1] = above[columns];
            line[0] = above[1];
            self.line(&above, &mut line)?;
            samples.extend(line[1..=columns].iter().map(|value| *value as u16));
            std::mem::swap(&mut above, &mut line);
        }
        Ok(samples)
    }

    fn line(&mut self, above: &[i64], line: &mut [i64]) -> Result<(), String> {
        let columns = line.len() - 2;
        let mut x = 1;
        while x <= columns {
            let (a, b, c, d) = (line[x - 1], above[x], above[x - 1], above[x + 1]);
            let [q1, q2, q3] = [d - b, b - c, c - a].map(|gradient| self.parameters.quantize(gradient));
            if (q1, q2, q3) == (0, 0, 0) {
                let length = self.run(columns + 1 - x)?;
                line[x..x + length].fill(a);
                x += length;
                if x <= columns {
                    line[x] = self.interruption(a, above[x])?;
                    x += 1;
                }
            } else {
                line[x] = self.regular(81 * q1 + 9 * q2 + q3, [a, b, c])?;
                x += 1;
            }
        }
        Ok(())
    }

    /// A sample in regular mode (A.4 to A.6).
    fn regular(&mut self, context: i64, [a, b, c]: [i64; 3]) -> Result<i64, String> {
        let sign = context.signum();
        let predicted = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let Parameters { near, maxval, reset, .. } = self.parameters;
        let state = &mut self.contexts[context.unsigned_abs() as usize];
        let predicted = (predicted + sign * state.c).clamp(0, maxval);
        let k = order(state.n, state.a)?;
        let mapped = self.bits.golomb(k, self.limit, self.error_bits)?;
        let (half, odd) = (mapped >> 1, mapped & 1 == 1);
        let error = if near == 0 && k == 0 && 2 * state.b <= -state.n {
            if odd { half } else { -half - 1 }
        } else if odd {
            -half - 1
        } else {
            half
        };
        state.update(error, self.parameters.step(), reset);
        Ok(self.parameters.sample(predicted, sign * error))
    }

    /// The length of a run, of `left` samples at most (A.7.1).
    fn run(&mut self, left: usize) -> Result<usize, String> {
        let mut length = 0;
        while self.bits.bit()? == 1 {
            let step = 1 << J[self.run_index];
            length += step;
            if length <= left {
                self.run_index = (self.run_index + 1).min(J.len() - 1);
            }
            if length >= left {
                return Ok(left);
            }
        }
        length += self.bits.number(J[self.run_index])? as usize;
        if length >= left {
            return Err("a run beyond its line".to_owned());
        }
        Ok(length)
    }

    /// The sample that ends a run (A.7.2).
    fn interruption(&mut self, a: i64, b: i64) -> Result<i64, String> {
        let Parameters { near, reset, .. } = self.parameters;
        let flat = (a - b).abs() <= near;
        let kind = i64::from(flat);
        let sign = if !flat && a > b { -1 } else { 1 };
        let state = &mut self.contexts[CONTEXTS + usize::from(flat)];
        let k = order(state.n, state.a + kind * (state.n >> 1))?;
        let mapped = self.bits.golomb(k, self.limit - J[self.run_index] - 1, self.error_bits)?;
        let (size, odd) = ((mapped + kind + 1) >> 1, (mapped + kind) & 1 == 1);
        let negative = (k != 0 || 2 * state.b >= state.n) == odd;
        let error = if negative { -size } else { size };
        state.b += i64::from(error < 0);
        state.a += (mapped + 1 - kind) >> 1;
        if state.n == reset {
            state.a >>= 1;
            state.b >>= 1;
            state.n >>= 1;
        }
        state.n += 1;
        self.run_index = self.run_index.saturating_sub(1);
        Ok(self.parameters.sample(if flat { a } else { b }, sign * error))
    }
}
