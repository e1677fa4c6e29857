//! Who may call what: every route of the table with every kind of caller.

use nodesys_core::login::LoginView;
use nodesys_testing::chain::{DAY, alice, bob};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::support::browser::Browser;
use super::support::{Answer, World};
use crate::front::LOGIN_MILLIS;
use crate::limits::{Caller, ROUTES, Route};

/// What is answered to who has not shown what the route requires.
const SHUT: [&str; 2] = ["not_signed_in", "cross_site"];

/// The route with good values in its path.
fn path(route: &Route, world: &World) -> String {
    let address = world.chain.distributor.to_string();
    let hash = world.chain.a1().hash().to_string();
    let part = |part: &str| match part {
        "{project}" => "acme".to_owned(),
        "{day}" => DAY.to_string(),
        "{file}" => "uptime.csv".to_owned(),
        "{login}" | "{token_id}" => "1".to_owned(),
        "{pairing}" => "00".repeat(16),
        "{hash}" | "{license}" => hash.clone(),
        "{account}" | "{collection}" | "{node_key}" | "{operator}" => address.clone(),
        part => {
            assert!(!part.contains('{'), "no value for {part}");
            part.to_owned()
        }
    };
    route.path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Asks with an empty body: a caller who is let in is refused for that, if at all.
async fn ask(world: &World, route: &Route, mut browser: Browser) -> Answer {
    let method: Method = route.method.parse().unwrap();
    browser.ask(method, &path(route, world), &json!({})).await
}

fn code(answer: &Answer) -> String {
    if answer.status < 400 { String::new() } else { answer.problem().code }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn every_route_takes_the_callers_of_the_table(pool: PgPool) {
    let world = World::new(pool).await;
    let page = Browser::at(&world.replica.base);
    let script = Browser { origin: None, csrf: None, ..page.clone() };
    let ended = Browser::of(&world, &alice()).await;
    ended.clone().ask(Method::DELETE, "/v1/login", &Value::Null).await;
    let expired = Browser::of(&world, &alice()).await;
    world.go_without_chain(world.now().plus_millis(LOGIN_MILLIS)).await;

    for route in &ROUTES {
        let name = format!("{} {}", route.method, route.path);
        let writes = route.method != "GET";
        // Rates are by network and account, and here all share them.
        world.go_without_chain(world.now().plus_millis(20_000)).await;
        // Each by itself, since signing out ends it.
        let own = Browser::of(&world, &bob()).await;
        let garbage = |cookie: &str| Some(format!("__Host-nodesys-login={cookie}"));
        let foreign = Some("https://evil.example.org".to_owned());
        let callers = [
            ("nobody", script.clone(), false, false),
            ("a page", page.clone(), true, false),
            (
                "a page of another site",
                Browser { origin: foreign.clone(), ..page.clone() },
                false,
                false,
            ),
            ("a page without the header", Browser { csrf: None, ..page.clone() }, false, false),
            ("an ended login", ended.clone(), true, false),
            ("an expired login", expired.clone(), true, false),
            (
                "a made-up login",
                Browser { cookie: garbage(&"A".repeat(43)), ..page.clone() },
                true,
                false,
            ),
            ("no login at all", Browser { cookie: garbage("x"), ..page.clone() }, true, false),
            (
                "a login from another site",
                Browser { origin: foreign, ..own.clone() },
                false,
                !writes,
            ),
            ("a login without Origin", Browser { origin: None, ..own.clone() }, false, !writes),
            ("a login without the header", Browser { csrf: None, ..own.clone() }, false, !writes),
            ("a login", own, true, true),
        ];
        let nobody = ask(&world, route, script.clone()).await;
        for (caller, browser, from_page, signed_in) in callers {
            let answer = ask(&world, route, browser).await;
            let refused = SHUT.contains(&code(&answer).as_str());
            let taken = match route.caller {
                Caller::Anyone | Caller::Signer(_) => true,
                Caller::Page => from_page,
                Caller::Login => signed_in,
            };
            assert_eq!(taken, !refused, "{name} by {caller}: {answer:?}");
            match route.caller {
                // What is public is the same for everybody; what is signed, nobody does without.
                Caller::Anyone => assert_eq!(answer.status, nobody.status, "{name} by {caller}"),
                Caller::Signer(_) => {
                    assert!((400..500).contains(&answer.status), "{name} by {caller}: {answer:?}");
                    assert_eq!(code(&answer), code(&nobody), "{name} by {caller}");
                }
                Caller::Page => assert!(answer.status >= 400, "{name} by {caller}: {answer:?}"),
                Caller::Login => {
                    // Some refuse the empty body.
                    let in_words = !signed_in || [200, 400].contains(&answer.status);
                    assert!(in_words, "{name} by {caller}: {answer:?}");
                }
            }
        }
    }
}

#[sqlx::test(migrations = "../../migrations/backend")]
async fn a_login_sees_and_ends_those_of_its_own_account_only(pool: PgPool) {
    let world = World::new(pool).await;
    let mut alices = Browser::of(&world, &alice()).await;
    let mut bobs = Browser::of(&world, &bob()).await;
    let own: LoginView = alices.get("/v1/login").await;
    let route = format!("/v1/logins/{}", own.login);
    let left: Vec<LoginView> = bobs.ask(Method::DELETE, &route, &Value::Null).await.read();
    assert!(left.len() == 1 && left[0].account == bob().address(), "{left:?}");
    assert_eq!(alices.get::<LoginView>("/v1/login").await, own);
}
