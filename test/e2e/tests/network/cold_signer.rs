//! The reward signer's key is on none of the project's machines: a day is exported, signed, and
//! imported.

use alloy::primitives::hex;
use nodesys_core::B256;
use nodesys_core::signature::SigningKey;
use nodesys_devnet::run;
use nodesys_e2e::ShortDay;
use nodesys_e2e::short_day::DAY;
use serde_json::Value;

fn signed(key: &SigningKey, round: &Value) -> String {
    let digest: B256 = round["digest"].as_str().unwrap().parse().unwrap();
    hex::encode_prefixed(key.sign(digest).as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_committed_by_a_signer_who_is_elsewhere() {
    let mut day = ShortDay::start(1).await;
    // It leaves its settings, and does not live to see the day's end.
    day.start_master().await;
    day.net.stop_master().await.unwrap();
    let people = &day.net.people;
    let mut node = day.node().await;
    day.close(&mut node).await;

    let date = DAY.to_string();
    let [points, commit, other] = ["points.json", "commit.json", "other.json"]
        .map(|name| day.net.path(name).display().to_string());
    let master = async |words: &[&str]| {
        let no_key = ["--signer-keystore", "nowhere"];
        let arguments = [&["commit", "--day", &date, "-o", "json"], &no_key[..], words].concat();
        run(day.net.master_command(&arguments)).await.unwrap()
    };
    let good = async |words: &[&str]| -> Value {
        let said = master(words).await;
        assert_eq!(said.code, Some(0), "{words:?}: {}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    };

    // The first round is about the points; only the project's signer will do.
    let round = good(&["--export", &points]).await;
    assert_eq!(
        (&round["round"], &round["signer"]),
        (&"points".into(), &people.signer.address().to_string().to_lowercase().into())
    );
    let forged = signed(&people.bob.key, &round);
    let said = master(&["--import", &points, "--signature", &forged]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("the signature is not"), "{}", said.stderr);
    let said = master(&["--import", &points]).await;
    assert!(said.stderr.contains("--signature HEX"), "{}", said.stderr);

    // The second gives the commit out, the same one however often.
    let signature = signed(&people.signer.key, &round);
    let import = ["--import", &points, "--signature", &signature, "--export", &commit];
    let round = good(&import).await;
    assert_eq!(round["round"], "commit");
    assert_eq!(good(&["--export", &other]).await["digest"], round["digest"]);
    let signature = signed(&people.signer.key, &round);
    let import = ["--import", &commit, "--signature", &signature];
    let done = good(&import).await;
    assert_eq!((&done["step"], &done["again"]), (&"committed".into(), &false.into()));
    let again = good(&import).await;
    assert_eq!((&again["commit_hash"], &again["again"]), (&done["commit_hash"], &true.into()));

    // The chain takes it as any other.
    let client = day.net.client(0).unwrap();
    let project = day.net.network.deployed.distributor;
    let mut posted = None;
    for _ in 0..10 {
        day.pass_minutes(1).await;
        posted = client.commit_of(project, DAY).await.unwrap().transaction;
        if posted.is_some() {
            break;
        }
    }
    assert!(posted.is_some(), "it is posted");
    drop(node);
    day.net.stop().await.unwrap();
}
