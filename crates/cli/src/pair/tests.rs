//! The exchange without a network: request, sign, and what `finish` checks.

use nodesys_chain::keystore;
use nodesys_core::message::{Domain, MAX_AUTHORIZATION_SECS, Message as _};
use nodesys_core::signature::{SigningKey, WalletSignature};
use nodesys_core::{Address, U256};

use super::files::{self, PairRequest, PairSigned};
use super::finish;
use super::request::request_pairing;
use super::sign::sign_request;
use crate::exit::Exit;
use crate::node;
use crate::node::config::Settings;
use crate::setup::Setup;
use crate::wallet::{Outcome, WalletArgs};

const REGISTRY: Address = Address::repeat_byte(0xaa);

fn wallet() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

fn wallet_address() -> Address {
    wallet().address()
}

/// A node's home and a wallet's folder.
struct Machines {
    folder: tempfile::TempDir,
}

impl Machines {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        keystore::create(&folder.path().join("wallet.json"), &wallet(), "secret").unwrap();
        std::fs::write(folder.path().join("password"), "secret\n").unwrap();
        Self { folder }
    }

    fn setup(&self, chain_id: Option<u64>) -> Setup {
        let home = Some(self.folder.path().join("home"));
        let registry = chain_id.map(|_| REGISTRY);
        Setup::read(Settings { home, chain_id, registry, ..Settings::default() }).unwrap()
    }

    async fn request(&self, days: u64, nonce: Option<u64>) -> PairRequest {
        let nonce = nonce.map(U256::from);
        request_pairing(&self.setup(Some(31_337)), days, nonce).await.unwrap()
    }

    /// `pair sign` where the wallet is, with these settings of its own.
    fn sign(&self, request: &PairRequest, chain_id: Option<u64>) -> anyhow::Result<PairSigned> {
        let path = self.folder.path().join("request.json");
        std::fs::write(&path, serde_json::to_vec(request).unwrap()).unwrap();
        let wallet = WalletArgs {
            keystore: Some(self.folder.path().join("wallet.json")),
            password_file: Some(self.folder.path().join("password")),
            ..WalletArgs::default()
        };
        match sign_request(&self.setup(chain_id), &path, &wallet, None)? {
            Outcome::Done(signed) => Ok(signed),
            Outcome::ToSign(message) => panic!("the key is here: {message}"),
        }
    }

    /// `pair sign` of a wallet elsewhere.
    fn sign_elsewhere(
        &self,
        request: &PairRequest,
        signature: Option<&str>,
    ) -> anyhow::Result<Outcome<PairSigned>> {
        let path = self.folder.path().join("request.json");
        std::fs::write(&path, serde_json::to_vec(request).unwrap()).unwrap();
        let signature = signature.map(|text| text.parse().unwrap());
        let wallet =
            WalletArgs { typed_data: signature.is_none(), signature, ..WalletArgs::default() };
        sign_request(&self.setup(None), &path, &wallet, Some(wallet_address()))
    }

    fn node_key(&self) -> SigningKey {
        node::key::read(&self.folder.path().join("home/node.key")).unwrap()
    }
}

#[tokio::test]
async fn both_keys_sign_one_digest() {
    let machines = Machines::new();
    let request = machines.request(90, None).await;
    assert_eq!(request.node_key, machines.node_key().address());
    let signed = machines.sign(&request, None).unwrap();
    assert_eq!(signed.authorization.operator, wallet().address());

    let domain = Domain::new(31_337, REGISTRY);
    let done = finish::cosign(&signed, &domain, &machines.node_key(), None).await.unwrap();
    let digest = done.authorization.digest(&domain);
    done.node_signature.verify(digest, request.node_key).unwrap();
    let operator = done.operator_signature.as_key_signature().unwrap();
    operator.verify(digest, wallet().address()).unwrap();
    assert_eq!(done.authorization.not_after, request.not_after);

    // Made again, it is the same node, and a higher nonce replaces.
    let again = machines.request(90, None).await;
    assert_eq!(again.node_key, request.node_key);
    assert!(again.nonce >= request.nonce);
    assert_eq!(machines.request(1, Some(5)).await.nonce, U256::from(5));
}

#[tokio::test]
async fn an_authorisation_never_runs_for_more_than_ninety_days_by_anybodys_clock() {
    let machines = Machines::new();
    let secs = |request: PairRequest, from: u64| request.not_after - from;
    let now = nodesys_clock::Clock::system().now().secs();
    let longest = secs(machines.request(90, None).await, now);
    assert!((MAX_AUTHORIZATION_SECS - 700..MAX_AUTHORIZATION_SECS - 500).contains(&longest));
    let day = secs(machines.request(1, None).await, now);
    assert!((86_400..86_500).contains(&day), "{day}");
}

#[tokio::test]
async fn a_request_for_another_network_is_not_signed() {
    let machines = Machines::new();
    let request = machines.request(90, None).await;
    let error = machines.sign(&request, Some(1)).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
    assert!(error.to_string().contains("chain 31337, but --chain-id is 1"), "{error}");
    let elsewhere = PairRequest { registry: Address::repeat_byte(1), ..request.clone() };
    let error = machines.sign(&elsewhere, Some(31_337)).unwrap_err();
    assert!(error.to_string().contains("--registry is"), "{error}");
    machines.sign(&request, Some(31_337)).unwrap();
}

#[tokio::test]
async fn a_wallet_elsewhere_is_shown_the_message_and_gives_its_signature() {
    let machines = Machines::new();
    let request = machines.request(90, None).await;
    let Outcome::ToSign(message) = machines.sign_elsewhere(&request, None).unwrap() else {
        panic!("nothing signs here");
    };
    // What a wallet makes of the message is what the node's own key signs.
    let typed: alloy::dyn_abi::TypedData = serde_json::from_value(message).unwrap();
    let digest = typed.eip712_signing_hash().unwrap();
    let signature = wallet().sign(digest);
    let (domain, key) = (Domain::new(31_337, REGISTRY), machines.node_key());
    let plain = signature.to_string();
    let v0 = format!("{}{:02x}", &plain[..130], signature.as_bytes()[64] - 27);
    for text in [plain.clone(), format!("\"{plain}\"\n"), v0] {
        let Outcome::Done(signed) = machines.sign_elsewhere(&request, Some(&text)).unwrap() else {
            panic!("it is signed");
        };
        assert_eq!(signed.operator_signature.as_bytes()[..], signature.as_bytes()[..]);
        let done = finish::cosign(&signed, &domain, &key, None).await.unwrap();
        assert_eq!(done.authorization.digest(&domain), digest);
    }
}

#[tokio::test]
async fn finish_takes_only_what_both_keys_stand_behind() {
    let machines = Machines::new();
    let good = machines.sign(&machines.request(90, None).await, None).unwrap();
    let (domain, key) = (Domain::new(31_337, REGISTRY), machines.node_key());
    let refused = async |signed: &PairSigned, key: &SigningKey, part: &str| {
        let error = finish::cosign(signed, &domain, key, None).await.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Failure);
        assert!(error.to_string().contains(part), "{error}");
    };
    let other = SigningKey::from_bytes(&[8; 32]).unwrap();
    refused(&good, &other, "this machine's is").await;

    let mut longer = good.clone();
    longer.authorization.not_after += 1;
    refused(&longer, &key, "is not valid: signed by").await;
    let mut another = good.clone();
    another.authorization.operator = other.address();
    refused(&another, &key, "contract wallet, give --rpc").await;
    let mut high = good.operator_signature.as_bytes().to_vec();
    high[32] = 0xff;
    let operator_signature = WalletSignature::new(high.into()).unwrap();
    refused(&PairSigned { operator_signature, ..good.clone() }, &key, "low-S").await;

    // Bytes that no key makes can only be a contract's: the backend asks it.
    let operator_signature = WalletSignature::new(vec![1; 130].into()).unwrap();
    let contract = PairSigned { operator_signature, ..good };
    finish::cosign(&contract, &domain, &key, None).await.unwrap();
}

#[test]
fn only_the_file_that_belongs_there_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        files::read::<PairRequest>(&path, PairRequest::FORMAT)
    };
    let good = serde_json::json!({
        "format": PairRequest::FORMAT, "chain_id": "1", "registry": REGISTRY,
        "node_key": REGISTRY, "not_after": "1", "nonce": "1",
    });
    read(&good.to_string()).unwrap();
    let with = |key: &str, value: serde_json::Value| {
        let mut json = good.clone();
        json[key] = value;
        json.to_string()
    };
    for (text, part) in [
        (String::new(), "EOF"),
        ("not json".to_owned(), "expected ident"),
        ("{}".to_owned(), "missing field `format`"),
        (with("format", PairSigned::FORMAT.into()), "its format is \"nodesys-pair-signed-1\""),
        (with("chain_id", 1.into()), "expected a string"),
        (with("nonce", "-1".into()), "not a decimal number"),
        (with("extra", 1.into()), "unknown field `extra`"),
    ] {
        let error = read(&text).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Failure);
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert!(error.to_string().contains("x.json"), "{error}");
    }
    let missing = folder.path().join("none.json");
    let error = files::read::<PairRequest>(&missing, PairRequest::FORMAT).unwrap_err();
    assert!(error.to_string().contains("none.json"), "{error}");
}
