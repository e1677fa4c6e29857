//! Terms are announced before the days for which they count.

use nodesys_core::time::{Timestamp, UtcDay};
use serde_json::{Value, json};

use crate::{Stage, text};

#[tokio::test]
async fn terms_are_announced_once_and_before_their_first_day() {
    let stage = Stage::start().await;
    let named = stage.project().await;
    let terms = json!({
        "day_reward": "100",
        "rule": { "name": "uptime", "rate": "1440", "minimum_uptime_ppm": 0 },
        "beneficiary": "renter", "excluded": [],
    });
    let file = stage.write("terms.json", &terms);
    let now = stage.provider.latest_block().await.unwrap().secs;
    let today = Timestamp::from_secs(now).day().epoch();
    let day = |days| UtcDay::from_epoch(today + days).unwrap().to_string();
    let (begun, to_come) = (day(0), day(2));
    let announce =
        |from| named.project(&["announce-terms", "--terms", text(&file), "--from", from]);

    let nothing = stage.run(&named.project(&["terms"]));
    assert_eq!(nothing["announced"], json!([]));
    assert!(stage.refused(&announce(&begun)).contains("has begun"));
    let first = stage.run(&announce(&to_come));
    assert!(first["transaction"].is_string());
    assert_eq!(stage.run(&announce(&to_come))["transaction"], Value::Null);

    let shown = stage.run(&named.project(&["terms", "--terms", text(&file)]));
    let [one] = shown["announced"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&one["ours"], &one["from"]), (&json!(true), &json!(today + 2)));
    assert_eq!(one["transaction"], first["transaction"]);

    // Other terms for the same day take their place; then the first are announced anew.
    let mut other = terms;
    other["day_reward"] = json!("200");
    let others = stage.write("others.json", &other);
    let replace = named.project(&["announce-terms", "--terms", text(&others), "--from", &to_come]);
    assert!(stage.run(&replace)["transaction"].is_string());
    assert!(stage.run(&announce(&to_come))["transaction"].is_string());
    let shown = stage.run(&named.project(&["terms", "--terms", text(&others)]));
    let ours: Vec<_> =
        shown["announced"].as_array().unwrap().iter().map(|one| &one["ours"]).collect();
    assert_eq!(ours, [&json!(false), &json!(true), &json!(false)]);
}
