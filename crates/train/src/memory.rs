//! Memory that a step gives back is kept for the next one.
//!
//! glibc returns large blocks to the system when they are freed and asks for them again at the next step, page by page: at 64 px about a
//! tenth of a training step. Here they stay in the process, whose peak grows by as much as its heap has gaps (a tenth, measured).

/// Sets it for the whole process. Call before the first tensor.
pub fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters of the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}
