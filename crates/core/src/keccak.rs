//! Keccak-256 of many 64-byte messages at once, one message per vector lane.
//!
//! It is the hash of Ethereum: Keccak as submitted to NIST, padded with 1 and not with SHA-3's 0x06.
//!
//! Trees hash millions of equally short messages, so the permutation runs over whole vectors:
//! eight messages with AVX-512, four with AVX2, two with SSE2, NEON or no vectors at all. The
//! widest that the processor has is chosen when the code runs, not when it is built. Every level
//! gives the bytes of [`alloy_primitives::keccak256`].
//!
//! Measured on one AVX2 core, filling the lanes included: 4.2 times alloy's scalar `keccak256`.
//! `p3-keccak` 0.8 chooses at build time: its permutation alone takes 2.3 times as long in the
//! default (SSE2) build, 1.4 times as long when built for AVX2.

use alloy_primitives::B256;
use fearless_simd::{Level, Simd, SimdBase, dispatch};

/// Lanes of the widest vector.
const MAX_LANES: usize = 8;
/// 64-bit words in a message.
const WORDS: usize = 8;
/// 64-bit words in a hash.
const HASH_WORDS: usize = 4;
/// Index of the last word of Keccak-256's rate of 136 bytes; the padding ends in its top bit.
const LAST_RATE_WORD: usize = 16;

/// Round constants of Keccak-f\[1600\] (FIPS 202, 3.2.5).
const ROUNDS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// `out[i] = keccak256(message(i))`.
///
/// # Examples
///
/// ```
/// use nodesys_core::keccak::hash_each;
/// use nodesys_core::{B256, keccak256};
///
/// let messages = [[1_u8; 64], [2; 64], [3; 64]];
/// let mut hashes = [B256::ZERO; 3];
/// hash_each(&mut hashes, |i| messages[i]);
/// assert_eq!(hashes, messages.map(keccak256));
/// ```
pub fn hash_each(out: &mut [B256], message: impl Fn(usize) -> [u8; 64]) {
    hash_at::<false>(Level::new(), out, message);
}

/// `out[i] = keccak256(keccak256(message(i)))`, the inner hashes never leaving the vectors.
pub fn hash_each_twice(out: &mut [B256], message: impl Fn(usize) -> [u8; 64]) {
    hash_at::<true>(Level::new(), out, message);
}

fn hash_at<const TWICE: bool>(level: Level, out: &mut [B256], message: impl Fn(usize) -> [u8; 64]) {
    dispatch!(level, simd => hash_lanes::<_, TWICE>(simd, out, message));
}

// Everything below is `inline(always)` and free of closures: a function that is not inlined into
// `dispatch!` would be compiled for the baseline processor, several times slower.

#[inline(always)]
fn hash_lanes<S: Simd, const TWICE: bool>(
    simd: S,
    out: &mut [B256],
    message: impl Fn(usize) -> [u8; 64],
) {
    let lanes = S::u64s::LEN;
    let mut first = 0;
    for hashes in out.chunks_mut(lanes) {
        let mut words = [[0_u64; MAX_LANES]; WORDS];
        for lane in 0..hashes.len() {
            let message = message(first + lane);
            for (word, bytes) in words.iter_mut().zip(message.as_chunks().0) {
                word[lane] = u64::from_le_bytes(*bytes);
            }
        }
        first += hashes.len();

        let mut input = [S::u64s::splat(simd, 0); WORDS];
        for (vector, word) in input.iter_mut().zip(&words) {
            *vector = S::u64s::from_slice(simd, &word[..lanes]);
        }
        let mut hash = sponge(simd, &input);
        if TWICE {
            hash = sponge(simd, &hash);
        }

        for (word, vector) in words.iter_mut().zip(&hash) {
            vector.store_slice(&mut word[..lanes]);
        }
        for (lane, out) in hashes.iter_mut().enumerate() {
            for (bytes, word) in out.0.as_chunks_mut().0.iter_mut().zip(&words) {
                *bytes = word[lane].to_le_bytes();
            }
        }
    }
}

/// Keccak-256 of messages of at most 16 words: one block, padded with 1 and a last top bit.
#[inline(always)]
fn sponge<S: Simd, const N: usize>(simd: S, message: &[S::u64s; N]) -> [S::u64s; HASH_WORDS] {
    let mut state = [S::u64s::splat(simd, 0); 25];
    state[..N].copy_from_slice(message);
    state[N] = S::u64s::splat(simd, 1);
    state[LAST_RATE_WORD] = S::u64s::splat(simd, 1 << 63);
    // The first and last rounds stand alone: the compiler leaves out the words known to be zero
    // in the one and those never read in the other, a tenth of all the work.
    let [first, middle @ .., last] = &ROUNDS;
    round(simd, &mut state, *first);
    for constant in middle {
        round(simd, &mut state, *constant);
    }
    round(simd, &mut state, *last);
    [state[0], state[1], state[2], state[3]]
}

/// One round: theta into `d`, then rho, pi and chi row by row, then iota.
#[inline(always)]
fn round<S: Simd>(simd: S, state: &mut [S::u64s; 25], constant: u64) {
    let a = *state;
    let c = [
        a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20],
        a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21],
        a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22],
        a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23],
        a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24],
    ];
    let d = [
        c[4] ^ rotate::<S, 1>(c[1]),
        c[0] ^ rotate::<S, 1>(c[2]),
        c[1] ^ rotate::<S, 1>(c[3]),
        c[2] ^ rotate::<S, 1>(c[4]),
        c[3] ^ rotate::<S, 1>(c[0]),
    ];
    let row = chi::<S>([
        a[0] ^ d[0],
        rotate::<S, 44>(a[6] ^ d[1]),
        rotate::<S, 43>(a[12] ^ d[2]),
        rotate::<S, 21>(a[18] ^ d[3]),
        rotate::<S, 14>(a[24] ^ d[4]),
    ]);
    state[..5].copy_from_slice(&row);
    state[0] = row[0] ^ S::u64s::splat(simd, constant);
    state[5..10].copy_from_slice(&chi::<S>([
        rotate::<S, 28>(a[3] ^ d[3]),
        rotate::<S, 20>(a[9] ^ d[4]),
        rotate::<S, 3>(a[10] ^ d[0]),
        rotate::<S, 45>(a[16] ^ d[1]),
        rotate::<S, 61>(a[22] ^ d[2]),
    ]));
    state[10..15].copy_from_slice(&chi::<S>([
        rotate::<S, 1>(a[1] ^ d[1]),
        rotate::<S, 6>(a[7] ^ d[2]),
        rotate::<S, 25>(a[13] ^ d[3]),
        rotate::<S, 8>(a[19] ^ d[4]),
        rotate::<S, 18>(a[20] ^ d[0]),
    ]));
    state[15..20].copy_from_slice(&chi::<S>([
        rotate::<S, 27>(a[4] ^ d[4]),
        rotate::<S, 36>(a[5] ^ d[0]),
        rotate::<S, 10>(a[11] ^ d[1]),
        rotate::<S, 15>(a[17] ^ d[2]),
        rotate::<S, 56>(a[23] ^ d[3]),
    ]));
    state[20..25].copy_from_slice(&chi::<S>([
        rotate::<S, 62>(a[2] ^ d[2]),
        rotate::<S, 55>(a[8] ^ d[3]),
        rotate::<S, 39>(a[14] ^ d[4]),
        rotate::<S, 41>(a[15] ^ d[0]),
        rotate::<S, 2>(a[21] ^ d[1]),
    ]));
}

#[inline(always)]
fn chi<S: Simd>(b: [S::u64s; 5]) -> [S::u64s; 5] {
    [
        b[0] ^ (!b[1] & b[2]),
        b[1] ^ (!b[2] & b[3]),
        b[2] ^ (!b[3] & b[4]),
        b[3] ^ (!b[4] & b[0]),
        b[4] ^ (!b[0] & b[1]),
    ]
}

#[inline(always)]
fn rotate<S: Simd, const BITS: u32>(vector: S::u64s) -> S::u64s {
    (vector << BITS) | (vector >> (64 - BITS))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    /// Every level that this processor can run.
    fn levels() -> Vec<Level> {
        let best = Level::new();
        #[cfg(target_arch = "x86_64")]
        let narrower = [
            best.as_avx2().map(Level::Avx2),
            best.as_sse4_2().map(Level::Sse4_2),
            best.as_sse2().map(Level::Sse2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let narrower: [Option<Level>; 0] = [];
        std::iter::once(best).chain(narrower.into_iter().flatten()).collect()
    }

    fn message(i: usize) -> [u8; 64] {
        let mut message = [0; 64];
        let first = keccak256(i.to_be_bytes());
        message[..32].copy_from_slice(first.as_slice());
        message[32..].copy_from_slice(keccak256(first).as_slice());
        message
    }

    #[test]
    fn every_level_agrees_with_the_scalar_hash() {
        for level in levels() {
            for count in 0..=2 * MAX_LANES + 1 {
                let (mut once, mut twice) = (vec![B256::ZERO; count], vec![B256::ZERO; count]);
                hash_at::<false>(level, &mut once, message);
                hash_at::<true>(level, &mut twice, message);
                for i in 0..count {
                    assert_eq!(once[i], keccak256(message(i)), "{level:?}, {i} of {count}");
                    assert_eq!(twice[i], keccak256(once[i]), "{level:?}, {i} of {count}");
                }
            }
        }
    }
}
