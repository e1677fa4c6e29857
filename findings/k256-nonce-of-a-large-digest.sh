#!/usr/bin/env bash
# k256 0.13.4 and secp256k1 0.33.1 (libsecp256k1): two deterministic signatures of one digest by one key.
#
# Seen on 2026-11-29. Both say that they sign by RFC 6979, and for nearly every digest they give the same
# 64 bytes. For a digest at or above the order of the curve they do not: RFC 6979 (3.2 d, by bits2octets
# of 2.3.4) feeds the nonce from the digest reduced by the order, which libsecp256k1 does and k256's
# `sign_prehash_recoverable` leaves to its caller. Both signatures are valid. Who compares the bytes of a
# signature made again elsewhere (a record of what was signed, a golden vector) is told of a difference
# once in 2^128 random digests, and at once by a test at the border. Reducing the digest first makes them
# equal.
#
# Output seen:
#   digest of ones: same
#   the order less one: same
#   the order: differ, and same once reduced
#   all bits set: differ, and same once reduced
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT
cd "$work"
cat >Cargo.toml <<'TOML'
[package]
name = "nonces"
version = "0.0.0"
edition = "2024"

[dependencies]
k256 = { version = "=0.13.4", features = ["ecdsa"] }
secp256k1 = "=0.33.1"
hex = "=0.4.3"
TOML
mkdir src
cat >src/main.rs <<'RUST'
use k256::elliptic_curve::ops::Reduce;
use k256::{Scalar, U256};

fn rust(key: &[u8; 32], digest: &[u8; 32]) -> [u8; 64] {
    let key = k256::ecdsa::SigningKey::from_slice(key).unwrap();
    let (signature, _) = key.sign_prehash_recoverable(digest).unwrap();
    signature.to_bytes().into()
}

fn c(key: &[u8; 32], digest: &[u8; 32]) -> [u8; 64] {
    let key = secp256k1::SecretKey::from_secret_bytes(*key).unwrap();
    secp256k1::ecdsa::sign(secp256k1::Message::from_digest(*digest), &key).serialize_compact()
}

fn main() {
    let key = [7; 32];
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order: [u8; 32] = hex::decode(order).unwrap().try_into().unwrap();
    let mut less = order;
    less[31] -= 1;
    for (name, digest) in [
        ("digest of ones", [1; 32]),
        ("the order less one", less),
        ("the order", order),
        ("all bits set", [255; 32]),
    ] {
        let reduced: [u8; 32] =
            <Scalar as Reduce<U256>>::reduce_bytes(&digest.into()).to_bytes().into();
        let same = rust(&key, &digest) == c(&key, &digest);
        let once_reduced = rust(&key, &reduced) == c(&key, &digest);
        match (same, once_reduced) {
            (true, _) => println!("{name}: same"),
            (false, true) => println!("{name}: differ, and same once reduced"),
            (false, false) => println!("{name}: differ"),
        }
    }
}
RUST
seen="$(cargo run --quiet)"
expected='digest of ones: same
the order less one: same
the order: differ, and same once reduced
all bits set: differ, and same once reduced'
printf '%s\n' "$seen"
[[ "$seen" == "$expected" ]] || { echo "the behaviour has changed" >&2; exit 1; }
