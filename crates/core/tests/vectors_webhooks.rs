//! Webhook signatures against vectors made by Node's crypto.

use nodesys_core::webhook::Secret;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    id: String,
    timestamp: String,
    body: String,
    signature: String,
}

#[test]
fn every_signature_agrees_with_node() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/vectors/webhooks.json");
    let vectors: Vectors = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(vectors.vectors.len(), 4);
    for v in vectors.vectors {
        let secret: Secret = v.secret.parse().unwrap();
        assert_eq!(*secret.expose(), v.secret, "{}", v.name);
        let secs: u64 = v.timestamp.parse().unwrap();
        let body = v.body.as_bytes();
        assert_eq!(secret.sign(&v.id, secs, body), v.signature, "{}", v.name);
        assert!(secret.verify(&v.id, secs, body, &v.signature), "{}", v.name);
        // One changed byte fails.
        let changed = [body, b"x"].concat();
        assert!(!secret.verify(&v.id, secs, &changed, &v.signature), "{}", v.name);
        let mut other = v.signature.into_bytes();
        other[5] = if other[5] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert!(!secret.verify(&v.id, secs, body, &other), "{}", v.name);
    }
}
