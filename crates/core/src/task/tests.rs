use super::*;
use proptest::prelude::*;

fn output(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

fn by(copies: u16, agree: u16, expected: Option<u8>) -> Agreement {
    Agreement { copies, agree, expected: expected.map(output) }
}

fn verdicts(by: &Agreement, outputs: &[u8]) -> (TaskState, Vec<Verdict>) {
    let outputs: Vec<B256> = outputs.iter().copied().map(output).collect();
    let Judgement { state, verdicts } = judge(by, &outputs);
    (state, verdicts)
}

#[test]
fn a_line_is_completed_and_checked() {
    let parse = |line: &str| TaskSpec::parse(line.as_bytes());
    let spec = parse(r#"{"key":"k","input":{"b":1,"a":[2.0]}}"#).unwrap();
    assert_eq!(spec.input, r#"{"a":[2],"b":1}"#);
    assert_eq!((spec.copies, spec.agree, spec.max_attempts), (1, 1, 5));
    let four = parse(r#"{"key":"k","input":1,"copies":4}"#).unwrap();
    assert_eq!((four.agree, four.max_attempts), (3, 20));
    assert_eq!((spec.time_limit_secs, spec.expected, spec.workload.as_ref()), (600, None, None));
    let same = parse(r#"{"input":{"a":[2],"b":1},"key":"k","copies":1}"#).unwrap();
    assert_eq!(same.hash(), spec.hash());
    let full = r#"{"key":"k","input":1,"workload":"alpha","copies":3,"agree":2,"expected":"x",
        "max_attempts":9,"time_limit_secs":30}"#;
    let spec = parse(full).unwrap();
    assert_eq!(spec.expected, Some(keccak256("\"x\"")));
    assert_ne!(parse(&full.replace("\"x\"", "\"y\"")).unwrap().hash(), spec.hash());

    // As docs/tasks.md says: 64 KiB and 1 MiB.
    assert_eq!((MAX_INPUT_BYTES, MAX_RESULT_BYTES), (65_536, 1_048_576));
    // Each limit itself is good. A string's canonical JSON has two quotes.
    for good in [
        format!(r#"{{"key":"{}","input":1}}"#, "\u{e4}".repeat(MAX_KEY_CHARS)),
        format!(r#"{{"key":"k","input":"{}"}}"#, "x".repeat(MAX_INPUT_BYTES - 2)),
        r#"{"key":"k","input":1,"copies":100}"#.to_owned(),
        r#"{"key":"k","input":1,"copies":3,"max_attempts":3}"#.to_owned(),
        r#"{"key":"k","input":1,"max_attempts":1000}"#.to_owned(),
        r#"{"key":"k","input":1,"copies":3,"agree":3}"#.to_owned(),
        r#"{"key":"k","input":1,"time_limit_secs":5}"#.to_owned(),
        r#"{"key":"k","input":1,"time_limit_secs":604800}"#.to_owned(),
    ] {
        assert!(TaskSpec::parse(good.as_bytes()).is_ok(), "{good:.60}");
    }

    let long = format!(r#"{{"key":"{}","input":1}}"#, "k".repeat(201));
    let large = format!(r#"{{"key":"k","input":"{}"}}"#, "x".repeat(MAX_INPUT_BYTES));
    for (bad, part) in [
        ("", "not a task"),
        ("[]", "not a task"),
        (r#"{"key":"k"}"#, "input"),
        (r#"{"key":"k","input":1,"priority":2}"#, "priority"),
        (r#"{"key":"","input":1}"#, "1 to 200 characters"),
        (r#"{"key":"a\nb","input":1}"#, "control characters"),
        (&long, "1 to 200 characters"),
        (&large, "at most 65536"),
        (r#"{"key":"k","input":1,"copies":0}"#, "copies is 0"),
        (r#"{"key":"k","input":1,"copies":101}"#, "copies is 101"),
        (r#"{"key":"k","input":1,"copies":4,"agree":2}"#, "more than half"),
        (r#"{"key":"k","input":1,"copies":2,"agree":3}"#, "not more than all"),
        (r#"{"key":"k","input":1,"copies":3,"max_attempts":2}"#, "expected 3"),
        (r#"{"key":"k","input":1,"max_attempts":1001}"#, "max_attempts is 1001"),
        (r#"{"key":"k","input":1,"time_limit_secs":604801}"#, "time_limit_secs is 604801"),
        (r#"{"key":"k","input":1,"time_limit_secs":4}"#, "time_limit_secs is 4"),
        (r#"{"key":"k","input":1,"workload":"No"}"#, "a-z"),
    ] {
        let error = parse(bad).unwrap_err().to_string();
        assert!(error.contains(part), "{bad:.60}: {error}");
    }
}

#[test]
fn outputs_are_equal_by_their_canonical_json() {
    let hash = |text: &str| output_hash(&serde_json::from_str(text).unwrap());
    assert_eq!(hash(r#"{"a":1,"b":2.0}"#), hash(r#"{ "b": 2, "a": 1e0 }"#));
    assert_ne!(hash("1"), hash("\"1\""));
    assert_ne!(hash("null"), hash("[]"));
}

#[test]
fn a_majority_decides() {
    use Verdict::{Accepted, Pending, Rejected};
    let one = by(1, 1, None);
    assert_eq!(verdicts(&one, &[]), (TaskState::Open, vec![]));
    assert_eq!(verdicts(&one, &[7]), (TaskState::Done, vec![Accepted]));
    let three = by(3, 2, None);
    assert_eq!(verdicts(&three, &[7]), (TaskState::Open, vec![Pending]));
    assert_eq!(verdicts(&three, &[7, 8]), (TaskState::Open, vec![Pending; 2]));
    assert_eq!(verdicts(&three, &[7, 7]), (TaskState::Done, vec![Accepted; 2]));
    assert_eq!(verdicts(&three, &[7, 8, 7]), (TaskState::Done, vec![Accepted, Rejected, Accepted]));
    assert_eq!(verdicts(&three, &[7, 8, 9]), (TaskState::Dead, vec![Rejected; 3]));
    // Two of two differ: no further answer could help.
    assert_eq!(verdicts(&by(2, 2, None), &[7, 8]), (TaskState::Dead, vec![Rejected; 2]));
    assert_eq!(verdicts(&by(3, 3, None), &[7, 8]), (TaskState::Dead, vec![Rejected; 2]));
}

#[test]
fn a_canary_judges_each_by_itself() {
    use Verdict::{Accepted, Rejected};
    let two = by(2, 2, Some(7));
    assert_eq!(verdicts(&two, &[8]), (TaskState::Open, vec![Rejected]));
    assert_eq!(verdicts(&two, &[8, 7]), (TaskState::Done, vec![Rejected, Accepted]));
    assert_eq!(verdicts(&two, &[8, 8]), (TaskState::Done, vec![Rejected, Rejected]));
}

proptest! {
    #[test]
    fn a_judgement_stands_whatever_comes_later(
        copies in 1u16..8, more in 0u16..4, outputs in prop::collection::vec(0u8..3, 0..8),
    ) {
        let agree = (copies / 2 + 1 + more).min(copies);
        let by = by(copies, agree, None);
        let outputs = &outputs[..outputs.len().min(copies.into())];
        let (mut state, mut before) = (TaskState::Open, Vec::new());
        for end in 0..=outputs.len() {
            let (now, verdicts) = verdicts(&by, &outputs[..end]);
            if state != TaskState::Open {
                prop_assert_eq!(now, state);
                prop_assert_eq!(&verdicts[..before.len()], &before[..]);
            }
            prop_assert_eq!(now == TaskState::Open, verdicts.iter().all(|v| *v == Verdict::Pending) && (end < copies.into() || end == 0));
            let accepted: Vec<u8> = outputs[..end].iter().zip(&verdicts)
                .filter(|(_, verdict)| **verdict == Verdict::Accepted).map(|(o, _)| *o).collect();
            prop_assert!(accepted.is_empty() || accepted.len() >= agree.into());
            prop_assert!(accepted.iter().all(|o| *o == accepted[0]));
            (state, before) = (now, verdicts);
        }
    }

    #[test]
    fn the_order_does_not_matter(outputs in prop::collection::vec(0u8..3, 0..6), turn in 0usize..6) {
        let by = by(5, 3, None);
        let outputs = &outputs[..outputs.len().min(5)];
        let (state, given) = verdicts(&by, outputs);
        let mut turned = outputs.to_vec();
        turned.rotate_left(if outputs.is_empty() { 0 } else { turn % outputs.len() });
        let (other, after) = verdicts(&by, &turned);
        prop_assert_eq!(state, other);
        for (output, verdict) in outputs.iter().zip(&given) {
            let same = turned.iter().position(|o| o == output).unwrap();
            prop_assert_eq!(after[same], *verdict);
        }
    }
}
