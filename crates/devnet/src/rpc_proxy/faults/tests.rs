use super::*;

fn facts(head: u64) -> Facts {
    Facts { head, finalized: head - 2, ..Facts::default() }
}

fn logs(blocks: &[u64]) -> Value {
    let log = |at: &u64| json!({"blockNumber": format!("{at:#x}")});
    json!({"id": 1, "result": blocks.iter().map(log).collect::<Vec<_>>()})
}

fn get_logs(from: &str, to: &str) -> Value {
    json!({"id": 1, "method": "eth_getLogs", "params": [{"fromBlock": from, "toBlock": to}]})
}

fn asked(step: Step) -> Value {
    let Step::Ask(call) = step else { panic!("it was answered: {step:?}") };
    call
}

fn told(step: Step) -> Value {
    let Step::Answer(answer) = step else { panic!("the chain was asked: {step:?}") };
    answer
}

#[test]
fn only_tags_and_the_asked_method_are_changed() {
    let call = json!({"id": 1, "method": "eth_call", "params": [{"to": "latest"}, "latest"]});
    let stood = asked(Fault::StandsAt(16).before(&Facts::default(), call));
    assert_eq!(stood["params"], json!([{"to": "latest"}, "0x10"]));
    let answer = || json!({"id": 1, "result": "0x7a69"});
    let after = |method: &str| {
        Fault::OtherChain(1).after(&Facts::default(), &json!({"method": method}), answer())
    };
    assert_eq!(after("eth_chainId")["result"], "0x1");
    assert_eq!(after("eth_call"), answer());
}

#[test]
fn what_is_pruned_is_nothing_or_refused_and_its_state_is_gone() {
    let silent = Fault::Pruned { below: 10 };
    let call = get_logs("0x0", "0x14");
    assert_eq!(asked(silent.before(&facts(20), call.clone())), call);
    assert_eq!(silent.after(&facts(20), &call, logs(&[3, 9, 10, 20])), logs(&[10, 20]));

    let honest = Fault::PrunedSaysSo { below: 10 };
    let refusal = told(honest.before(&facts(20), call));
    assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&json!(1), &json!(4444)));
    let call = get_logs("0xa", "latest");
    assert_eq!(asked(honest.before(&facts(20), call.clone())), call);

    for fault in [silent, honest] {
        let state = |at: &str| json!({"id": 1, "method": "eth_call", "params": [{}, at]});
        let refusal = told(fault.before(&facts(20), state("0x9")));
        assert!(refusal["error"]["message"].as_str().unwrap().starts_with("missing trie node"));
        for at in ["0xa", "latest"] {
            assert_eq!(asked(fault.before(&facts(20), state(at))), state(at));
        }
        let error = json!({"id": 1, "error": {"code": 3}});
        assert_eq!(fault.after(&facts(20), &get_logs("0x0", "0x1"), error.clone()), error);
    }
}

#[test]
fn a_node_that_lags_has_no_later_block() {
    let fault = Fault::Lags { blocks: 5 };
    let facts = facts(20);
    let call = |method: &str, params: Value| json!({"id": 1, "method": method, "params": params});
    let before = |method: &str, params| fault.before(&facts, call(method, params));

    // Newest is the fifteenth, final the thirteenth; a call without a block is one at the newest.
    assert_eq!(asked(before("eth_call", json!([{}, "latest"])))["params"][1], "0xf");
    assert_eq!(asked(before("eth_call", json!([{}])))["params"], json!([{}, "0xf"]));
    let block = asked(before("eth_getBlockByNumber", json!(["finalized", false])));
    assert_eq!(block["params"][0], "0xd");
    assert_eq!(
        told(before("eth_call", json!([{}, "0x10"])))["error"]["message"],
        "header not found"
    );
    let hash = format!("0x{}", "ab".repeat(32));
    let known = Facts { numbers: [(hash.clone(), 16)].into(), ..self::facts(20) };
    let by_hash = call("eth_call", json!([{}, {"blockHash": hash}]));
    assert_eq!(told(fault.before(&known, by_hash))["error"]["message"], "header not found");

    let after = |method: &str, result: Value| {
        let answer = json!({"id": 1, "result": result});
        fault.after(&facts, &call(method, json!([])), answer)["result"].clone()
    };
    assert_eq!(after("eth_blockNumber", json!("0x14")), "0xf");
    assert_eq!(after("eth_getBlockByNumber", json!({"number": "0x10"})), Value::Null);
    assert_eq!(after("eth_getBlockByHash", json!({"number": "0xf"})), json!({"number": "0xf"}));
    for method in ["eth_getTransactionReceipt", "eth_getTransactionByHash"] {
        assert_eq!(after(method, json!({"blockNumber": "0x10"})), Value::Null);
        assert_eq!(after(method, json!({"blockNumber": "0xf"})), json!({"blockNumber": "0xf"}));
    }

    // Logs end at its head, without a word.
    let wide = asked(fault.before(&facts, get_logs("0x1", "latest")));
    assert_eq!(wide["params"][0]["toBlock"], "0xf");
    assert_eq!(fault.after(&facts, &wide, logs(&[1, 15, 16])), logs(&[1, 15]));
    assert_eq!(told(fault.before(&facts, get_logs("0x10", "0x14")))["result"], json!([]));
}

#[test]
fn one_that_differs_leaves_logs_out_and_answers_other_words() {
    let after = |call: &Value, answer| Fault::Differs.after(&facts(9), call, answer);
    let call = get_logs("0x0", "0x9");
    assert_eq!(after(&call, logs(&[1, 2, 3])), logs(&[1, 3]));
    let answer = |word: &str| json!({"id": 1, "result": word});
    let word = format!("0x{}", "00".repeat(32));
    let call = json!({"method": "eth_call"});
    assert_eq!(after(&call, answer(&word))["result"], format!("0x{}01", "00".repeat(31)));
    assert_eq!(after(&call, answer("0x")), answer("0x"));
    assert_eq!(after(&json!({"method": "eth_chainId"}), answer("0x7a69")), answer("0x7a69"));
}

#[test]
fn a_plan_has_limits() {
    let fault = Fault::Limits { blocks: 10, results: 2 };
    let refusal = told(fault.before(&facts(20), get_logs("0x1", "0xb")));
    assert_eq!(refusal["error"]["code"], -32_602);
    let call = asked(fault.before(&facts(20), get_logs("0x1", "0xa")));
    assert_eq!(fault.after(&facts(20), &call, logs(&[1, 2])), logs(&[1, 2]));
    assert_eq!(fault.after(&facts(20), &call, logs(&[1, 2, 3]))["error"]["code"], -32_005);
}

#[test]
fn a_receipt_can_be_unknown() {
    let after = |method: &str| {
        let answer = json!({"id": 1, "result": {"status": "0x1"}});
        Fault::NullReceipts.after(&facts(9), &json!({"method": method}), answer)["result"].clone()
    };
    assert_eq!(after("eth_getTransactionReceipt"), Value::Null);
    assert_eq!(after("eth_getTransactionByHash"), json!({"status": "0x1"}));
}
