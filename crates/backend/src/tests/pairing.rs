//! Pairing by a code: whose code, whose signature, how often, how long.

use std::process::Stdio;

use nodesys_core::message::{Message as _, SignedAuthorization};
use nodesys_core::pairing::{
    Code, PairingBegun, PairingQuestion, PairingRequest, PairingState, PairingView, words,
};
use nodesys_core::signature::SigningKey;
use nodesys_core::time::Timestamp;
use nodesys_core::{Address, U256};
use nodesys_testing::chain::{alice, bob};
use nodesys_testing::{key, program};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use super::support::browser::Browser;
use super::support::{Answer, Node, SITE, World, problem, soon};
use crate::ended::DropEnded;
use crate::periodic::Periodic as _;

async fn begin(world: &World, node_key: Address) -> PairingBegun {
    let request = PairingRequest {
        node_key,
        not_after: world.now().secs() + 86_400,
        nonce: U256::from(world.now().millis()),
        machine: "rack\u{1b}[2J 7".to_owned(),
    };
    world.client().begin_pairing(&request).await.unwrap()
}

async fn state(world: &World, begun: &PairingBegun) -> PairingState {
    world.client().pairing_state(&question(begun)).await.unwrap()
}

fn question(begun: &PairingBegun) -> PairingQuestion {
    PairingQuestion { pairing: begun.pairing.clone(), secret: begun.secret.clone() }
}

async fn claim(browser: &mut Browser, pairing: &str, code: &str) -> Answer {
    let route = format!("/v1/pairings/{pairing}/claims");
    browser.ask(Method::POST, &route, &json!({ "code": code })).await
}

async fn sign(browser: &mut Browser, view: &PairingView, world: &World, by: &SigningKey) -> Answer {
    let route = format!("/v1/pairings/{}/signature", view.pairing);
    let signature = by.sign(view.authorization.digest(world.domain()));
    browser.ask(Method::POST, &route, &json!({ "signature": signature })).await
}

/// A code that is not this one.
fn another(code: Code) -> String {
    let text = code.to_string();
    let first = if text.starts_with('B') { "C" } else { "B" };
    format!("{first}{}", &text[1..])
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_typed_code_leads_to_the_wallets_signature(pool: PgPool) {
    let world = World::new(pool).await;
    let node = Node::new(&alice(), 7);
    let begun = begin(&world, node.address()).await;
    assert_eq!(begun.link, format!("{SITE}/pair/{}", begun.pairing));
    let letters = begun.code.as_str();
    assert!(!begun.link.to_uppercase().contains(letters), "the code is in the link");
    let rows = world.rows().await;
    assert!(!rows["pairing"].contains(letters) && !rows["pairing"].contains(&begun.secret));
    assert_eq!(
        state(&world, &begun).await,
        PairingState { operator: None, operator_signature: None }
    );

    let mut browser = Browser::of(&world, &alice()).await;
    let view: PairingView =
        claim(&mut browser, &begun.pairing, &letters.to_lowercase()).await.read();
    assert_eq!(view.authorization.operator, alice().address());
    assert_eq!(view.authorization.node_key, node.address());
    assert_eq!(view.machine, "rack\u{fffd}[2J 7");
    let digest = view.authorization.digest(world.domain());
    assert_eq!((view.words.as_str(), view.signed), (words(digest).as_str(), false));
    assert_eq!(view.typed_data["message"]["nodeKey"], json!(node.address()));
    assert_eq!(state(&world, &begun).await.operator, Some(alice().address()));
    // The page may be loaded again.
    let again = claim(&mut browser, &begun.pairing, letters).await;
    assert_eq!(again.read::<PairingView>(), view);

    let refused = sign(&mut browser, &view, &world, &bob()).await.problem();
    assert_eq!(refused.code, "bad_signature");
    assert_eq!(state(&world, &begun).await.operator_signature, None);
    for _ in 0..2 {
        let signed: PairingView = sign(&mut browser, &view, &world, &alice()).await.read();
        assert!(signed.signed);
    }
    // Nothing is authorised before the node's own key has signed.
    let unknown = problem(world.client().node(node.address()).await);
    assert_eq!(unknown.code, "unknown_node");
    let operator_signature = state(&world, &begun).await.operator_signature.unwrap();
    let node_signature = node.key.sign(digest);
    let authorization = view.authorization.clone();
    let signed = SignedAuthorization { authorization, operator_signature, node_signature };
    let node = world.client().authorize_node(&signed).await.unwrap();
    assert_eq!(node.authorization, view.authorization);
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_code_is_for_one_account_five_tries_and_ten_minutes(pool: PgPool) {
    let world = World::new(pool).await;
    let mut alices = Browser::of(&world, &alice()).await;
    let mut bobs = Browser::of(&world, &bob()).await;
    let (first, second) =
        (begin(&world, key(7).address()).await, begin(&world, key(8).address()).await);

    // Four wrong ones, then the right one: who types it has it.
    for left in (1..5).rev() {
        let refused = claim(&mut alices, &first.pairing, &another(first.code)).await.problem();
        assert_eq!((refused.status, refused.code.as_str()), (403, "wrong_code"));
        assert!(refused.detail.contains(&format!("{left} tries")), "{refused:?}");
    }
    let code = first.code.to_string();
    let view: PairingView = claim(&mut alices, &first.pairing, &code).await.read();
    let refused = claim(&mut bobs, &first.pairing, &code).await.problem();
    assert_eq!((refused.status, refused.code.as_str()), (409, "pairing_claimed"));
    let refused = sign(&mut bobs, &view, &world, &bob()).await.problem();
    assert_eq!(refused.code, "unknown_pairing", "it is alice's");
    assert_eq!(state(&world, &first).await.operator, Some(alice().address()));

    // Five wrong ones end it for everybody.
    for _ in 0..5 {
        claim(&mut bobs, &second.pairing, &another(second.code)).await.problem();
    }
    for browser in [&mut bobs, &mut alices] {
        let refused = claim(browser, &second.pairing, &second.code.to_string()).await.problem();
        assert_eq!(refused.code, "wrong_code");
    }
    assert_eq!(state(&world, &second).await.operator, None);
    // And an account can try the codes of only so many pairings.
    let mut limited = false;
    for number in 0..8 {
        let third = begin(&world, key(20 + number).address()).await;
        limited |= claim(&mut bobs, &third.pairing, &another(third.code)).await.status == 429;
    }
    assert!(limited);

    // The code of one pairing is none of another's, nor its secret.
    world.go_without_chain(world.now().plus_millis(60_000)).await;
    let (third, fourth) =
        (begin(&world, key(7).address()).await, begin(&world, key(8).address()).await);
    let code = third.code.to_string();
    assert_eq!(claim(&mut alices, &fourth.pairing, &code).await.problem().code, "wrong_code");
    let foreign = PairingQuestion { secret: third.secret.clone(), ..question(&fourth) };
    let refused = problem(world.client().pairing_state(&foreign).await);
    assert_eq!(refused.code, "unknown_pairing");
    for nonsense in ["", "00", "../x", &"g".repeat(32)] {
        let foreign = PairingQuestion { pairing: nonsense.to_owned(), ..question(&fourth) };
        let refused = problem(world.client().pairing_state(&foreign).await);
        assert_eq!(refused.code, "unknown_pairing");
    }

    world.go_without_chain(Timestamp::from_millis(third.until_millis)).await;
    let refused = claim(&mut alices, &third.pairing, &code).await.problem();
    assert_eq!((refused.status, refused.code.as_str()), (404, "unknown_pairing"));
    let refused = problem(world.client().pairing_state(&question(&third)).await);
    assert_eq!(refused.code, "unknown_pairing");
    DropEnded::new(world.replica.app.clone()).tick().await.unwrap();
    assert!(world.rows().await["pairing"].is_empty());
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_request_that_could_not_be_authorised_begins_no_pairing(pool: PgPool) {
    let world = World::new(pool).await;
    let now = world.now();
    let good = PairingRequest {
        node_key: key(7).address(),
        not_after: now.secs() + 60,
        nonce: U256::from(now.millis()),
        machine: String::new(),
    };
    let client = world.client();
    for (request, code) in [
        (PairingRequest { not_after: now.secs() - 1, ..good.clone() }, "authorization_expired"),
        (
            PairingRequest { not_after: now.secs() + 91 * 86_400, ..good.clone() },
            "authorization_expired",
        ),
        (PairingRequest { nonce: U256::MAX, ..good.clone() }, "clock_wrong"),
        (PairingRequest { machine: "x".repeat(65), ..good.clone() }, "bad_request"),
    ] {
        world.refused(code, client.begin_pairing(&request)).await;
    }
    client.begin_pairing(&good).await.unwrap();
    let off = world.without_login().await;
    assert_eq!(problem(off.client.begin_pairing(&good).await).code, "login_off");
}

/// The next step that the program tells.
async fn step(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = soon("a line of the program", lines.next_line()).await.unwrap();
    serde_json::from_str(&line.expect("the program has ended")).unwrap()
}

/// `nodesys pair`, as a node runs it, against this backend.
#[sqlx::test(migrations = "../../migrations/backend")]
async fn the_program_waits_for_the_browser_and_goes_on(pool: PgPool) {
    let world = World::new(pool).await;
    let home = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(program::built("nodesys"));
        command
            .env_clear()
            .args(["pair", "--machine", "rack 7", "-o", "json", "--chain-id", "31337", "--home"])
            .arg(home.path())
            .args(["--registry", &world.chain.registry.to_string()])
            .args(["--backend", &world.replica.base, "--clock", &world.clock_addr().to_string()])
            .args(more)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().unwrap()
    };
    let mut browser = Browser::of(&world, &alice()).await;
    let bob = bob().address().to_string();
    for (operator, exit) in [(&[][..], 0), (&["--operator", &bob], 1)] {
        let mut program = run(operator);
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let open = step(&mut lines).await;
        let (link, code) = (open["link"].as_str().unwrap(), open["code"].as_str().unwrap());
        let pairing = link.strip_prefix(&format!("{SITE}/pair/")).unwrap();
        let view: PairingView = claim(&mut browser, pairing, code).await.read();
        assert_eq!(view.machine, "rack 7");
        if exit == 0 {
            let compare = step(&mut lines).await;
            assert_eq!(compare["words"], view.words);
            assert_eq!(compare["operator"], json!(alice().address()));
            assert_eq!(sign(&mut browser, &view, &world, &alice()).await.status, 200);
            let done = step(&mut lines).await;
            assert_eq!(done["step"], "done", "{done}");
            let node = world.client().node(view.authorization.node_key).await.unwrap();
            assert_eq!(node.authorization, view.authorization);
            let kept = std::fs::read_to_string(home.path().join("authorization.json")).unwrap();
            let kept: SignedAuthorization = serde_json::from_str(&kept).unwrap();
            assert_eq!(kept.authorization, view.authorization);
        }
        let status = soon("the program's end", program.wait()).await.unwrap();
        assert_eq!(status.code(), Some(exit));
        assert_eq!(soon("no more lines", lines.next_line()).await.unwrap(), None);
    }
}
