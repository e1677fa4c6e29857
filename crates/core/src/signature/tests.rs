use alloy_primitives::U256;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// One of the two implementations, each compiled under test whatever features are on.
struct Curve {
    address: fn(&[u8; 32]) -> Option<Address>,
    secret: fn(&[u8; 32]) -> Option<[u8; 32]>,
    sign: fn(&[u8; 32], B256) -> Option<[u8; 65]>,
    recover: fn(&[u8; 65], B256) -> Option<Address>,
}

const K256: Curve = Curve {
    address: |key| Some(pure::Secret::from_bytes(key)?.address()),
    secret: |key| Some(*pure::Secret::from_bytes(key)?.to_bytes()),
    sign: |key, digest| Some(pure::Secret::from_bytes(key)?.sign(digest)),
    recover: pure::recover,
};

const LIBSECP256K1: Curve = Curve {
    address: |key| Some(libsecp::Secret::from_bytes(key)?.address()),
    secret: |key| Some(*libsecp::Secret::from_bytes(key)?.to_bytes()),
    sign: |key, digest| Some(libsecp::Secret::from_bytes(key)?.sign(digest)),
    recover: libsecp::recover,
};

/// The order of secp256k1 (SEC 2, 2.4.1).
const ORDER: [u8; 32] = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

fn number(bytes: &[u8]) -> U256 {
    U256::from_be_slice(bytes)
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

/// The other signature of the same digest by the same key: `n - s`, with the other recovery byte.
fn with_other_s(mut bytes: [u8; 65]) -> [u8; 65] {
    let s = number(&ORDER) - number(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    bytes[64] = 27 + 28 - bytes[64];
    bytes
}

/// Key, address, digest and signature of each of viem's messages.
fn agrees_with_viem(curve: &Curve) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/vectors/messages.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let messages = vectors["messages"].as_array().unwrap();
    assert!(messages.len() >= 12, "{}", messages.len());
    for vector in messages {
        let text = |field: &str| vector[field].as_str().unwrap();
        let secret: B256 = text("privateKey").parse().unwrap();
        let signer: Address = text("signer").parse().unwrap();
        let digest: B256 = text("digest").parse().unwrap();
        let signature: Signature = text("signature").parse().unwrap();
        let name = text("name");
        assert_eq!((curve.address)(&secret), Some(signer), "{name}");
        assert_eq!((curve.secret)(&secret), Some(secret.0), "{name}");
        assert_eq!((curve.sign)(&secret, digest), Some(*signature.as_bytes()), "{name}");
        assert_eq!((curve.recover)(signature.as_bytes(), digest), Some(signer), "{name}");
    }
}

#[test]
fn k256_agrees_with_viem() {
    agrees_with_viem(&K256);
}

#[test]
fn libsecp256k1_agrees_with_viem() {
    agrees_with_viem(&LIBSECP256K1);
}

/// What no valid signature and no key has.
fn refuses_what_is_out_of_range(curve: &Curve) {
    let above = number(&ORDER) + U256::from(1);
    for bad in [[0; 32], ORDER, above.to_be_bytes(), [0xff; 32]] {
        assert_eq!((curve.address)(&bad), None, "{bad:?}");
    }
    assert!((curve.address)(&(number(&ORDER) - U256::from(1)).to_be_bytes()).is_some());

    let digest = keccak256("hello");
    let good = (curve.sign)(&[7; 32], digest).unwrap();
    let with = |r: Option<[u8; 32]>, s: Option<[u8; 32]>| {
        let mut bytes = good;
        bytes[..32].copy_from_slice(&r.unwrap_or_else(|| good[..32].try_into().unwrap()));
        bytes[32..64].copy_from_slice(&s.unwrap_or_else(|| good[32..64].try_into().unwrap()));
        bytes
    };
    assert_eq!((curve.recover)(&good, digest), Some(key().address()));
    // 5 is no x coordinate of a point: 5^3 + 7 has no square root modulo the field's prime.
    let five = U256::from(5).to_be_bytes();
    for bad in [
        with(Some([0; 32]), None),
        with(Some(ORDER), None),
        with(Some([0xff; 32]), None),
        with(Some(five), None),
        with(None, Some([0; 32])),
    ] {
        assert_eq!((curve.recover)(&bad, digest), None, "{}", hex::encode(bad));
    }
}

#[test]
fn k256_refuses_what_is_out_of_range() {
    refuses_what_is_out_of_range(&K256);
}

#[test]
fn libsecp256k1_refuses_what_is_out_of_range() {
    refuses_what_is_out_of_range(&LIBSECP256K1);
}

/// Any 32 bytes, and those at the borders of the curve's order and its half.
fn any_word() -> impl Strategy<Value = [u8; 32]> {
    let border =
        (prop_oneof![Just(U256::ZERO), Just(number(&HALF_ORDER)), Just(number(&ORDER))], -2i8..=2)
            .prop_map(|(middle, offset)| {
                let distance = U256::from(offset.unsigned_abs());
                let near = if offset < 0 {
                    middle.wrapping_sub(distance)
                } else {
                    middle.wrapping_add(distance)
                };
                near.to_be_bytes::<32>()
            });
    prop_oneof![3 => any::<[u8; 32]>(), 1 => border]
}

proptest! {
    #[test]
    fn both_make_the_same_signature(secret in any_word(), digest in any_word()) {
        let digest = B256::from(digest);
        prop_assert_eq!((K256.address)(&secret), (LIBSECP256K1.address)(&secret));
        prop_assert_eq!((K256.secret)(&secret), (LIBSECP256K1.secret)(&secret));
        let made = (K256.sign)(&secret, digest);
        prop_assert_eq!(made, (LIBSECP256K1.sign)(&secret, digest));
        prop_assert_eq!(made.is_some(), secret != [0; 32] && secret < ORDER);
        if let Some(made) = made {
            prop_assert!(Signature::from_bytes(&made).is_ok(), "{made:?}");
            prop_assert_eq!((K256.recover)(&made, digest), (K256.address)(&secret));
            prop_assert_eq!((LIBSECP256K1.recover)(&made, digest), (K256.address)(&secret));
            prop_assert_eq!(Signature::from_bytes(&with_other_s(made)), Err(SignatureError::HighS));
        }
    }

    #[test]
    fn both_recover_the_same_key_or_none(r in any_word(), s in any_word(), v in 26u8..=29, digest in any_word()) {
        let mut bytes = [0; 65];
        bytes[..32].copy_from_slice(&r);
        bytes[32..64].copy_from_slice(&s);
        bytes[64] = v;
        let high = number(&s) > number(&HALF_ORDER);
        match Signature::from_bytes(&bytes) {
            Ok(signature) => {
                prop_assert!(!high && matches!(v, 27 | 28));
                let digest = B256::from(digest);
                let found = (K256.recover)(signature.as_bytes(), digest);
                prop_assert_eq!(found, (LIBSECP256K1.recover)(signature.as_bytes(), digest));
                prop_assert_eq!(signature.recover(digest), found.ok_or(SignatureError::Unrecoverable));
            }
            Err(SignatureError::HighS) => prop_assert!(high),
            Err(error) => prop_assert_eq!(error, SignatureError::RecoveryByte(v)),
        }
    }

    #[test]
    fn both_find_another_signer_once_a_bit_is_changed(secret in 1u64.., digest: [u8; 32], bit in 0usize..512) {
        let (digest, mut key) = (B256::from(digest), [0; 32]);
        key[24..].copy_from_slice(&secret.to_be_bytes());
        let mut bytes = (K256.sign)(&key, digest).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = Signature::from_bytes(&bytes) {
            let found = (K256.recover)(changed.as_bytes(), digest);
            prop_assert_ne!(found, (K256.address)(&key));
            prop_assert_eq!(found, (LIBSECP256K1.recover)(changed.as_bytes(), digest));
        }
    }
}

#[test]
fn signs_and_verifies() {
    let digest = keccak256("hello");
    let signature = key().sign(digest);
    assert_eq!(signature.verify(digest, key().address()), Ok(()));
    assert_eq!(signature.to_string().parse(), Ok(signature));
    let expected = Address::ZERO;
    let wrong = SignatureError::WrongSigner { expected, found: key().address() };
    assert_eq!(signature.verify(digest, expected), Err(wrong));
    assert!(signature.verify(keccak256("other"), key().address()).is_err());
}

#[test]
fn the_upper_half_of_s_is_refused() {
    let bytes = with_other_s(*key().sign(keccak256("hello")).as_bytes());
    assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::HighS));
    // The middle itself is low: n is odd, so one S of each pair is at most (n - 1) / 2.
    let mut middle = bytes;
    middle[32..64].copy_from_slice(&HALF_ORDER);
    assert!(Signature::from_bytes(&middle).is_ok());
    middle[63] += 1;
    assert_eq!(Signature::from_bytes(&middle), Err(SignatureError::HighS));
}

#[test]
fn malformed_signatures_are_named() {
    assert_eq!("0x12".parse::<Signature>(), Err(SignatureError::Malformed));
    assert_eq!("zz".parse::<Signature>(), Err(SignatureError::Malformed));
    let mut bytes = *key().sign(B256::ZERO).as_bytes();
    for wrong in [0, 1, 26, 29, 255] {
        bytes[64] = wrong;
        assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::RecoveryByte(wrong)));
    }
    assert_eq!(Signature::from_bytes(&bytes[..64]), Err(SignatureError::Malformed));
}

#[test]
fn malformed_keys_are_refused() {
    assert_eq!(SigningKey::from_bytes(&[0; 32]).err(), Some(SignatureError::BadKey));
    assert_eq!(SigningKey::from_bytes(&ORDER).err(), Some(SignatureError::BadKey));
    let good = "07".repeat(32);
    for bad in ["", "0x", "07", &format!("{good}07"), &good[1..], &good.replace('7', "g")] {
        assert_eq!(SigningKey::from_hex(bad).err(), Some(SignatureError::BadKey), "{bad:?}");
    }
    let read = SigningKey::from_hex(&format!(" 0x{good}\n")).unwrap();
    assert_eq!((read.address(), read.to_hex().as_str()), (key().address(), good.as_str()));
}

#[test]
fn known_address() {
    // The first account of the mnemonic "test test ... junk" (every EVM development chain).
    let key =
        SigningKey::from_hex("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
            .unwrap();
    assert_eq!(key.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
}

#[test]
fn a_derived_key_is_the_hash_of_secret_and_label() {
    let mut input = vec![7; 32];
    input.extend_from_slice(b"label");
    assert_eq!(*key().derive("label"), keccak256(&input).0);
    assert_ne!(*key().derive("label"), *key().derive("labels"));
}
