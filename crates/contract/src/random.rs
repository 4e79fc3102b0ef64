//! Randomness as a function of (seed, domain, counters).
//!
//! Every draw of the project starts from here, so that the order of work, the number of threads and restarts cannot
//! change a result: the generator of patient 7, or of epoch 3 and slice 41, is the same however one gets there.

pub use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The generator for one purpose (`domain`, such as `"augment"`) at one place (`counters`, such as epoch and index).
pub fn stream(seed: u64, domain: &str, counters: &[u64]) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(domain.as_bytes()).update(&[0]);
    for counter in counters {
        hasher.update(&counter.to_le_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}
