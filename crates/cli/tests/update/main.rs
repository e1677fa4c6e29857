//! `nodesys update` as it is run: the real programs, a repository made by the real tool, on disk and
//! over HTTP, ended at every moment, and attacked.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod server;

use nodesys_testing::updates::{CURRENT, FIRST, PLATFORM, World};
use serde_json::json;
use server::{Way, serve};

#[test]
fn a_release_is_taken_whole_and_the_one_before_is_kept() {
    let world = World::without_release();
    world.real_release("0.2.0", "");
    world.publish();
    world.run("update").fails(2, "--repository is missing");
    world.run("update --repository updates").fails(2, "give --root FILE");
    let check = world.run(&format!("{FIRST} --check")).json(0);
    assert_eq!((&check["state"], &check["version"]), (&json!("available"), &json!("0.2.0")));
    world.is_at(CURRENT);
    assert!(!world.path("home/update/state.json").exists(), "a check keeps nothing but metadata");

    let done = world.run(FIRST).json(0);
    assert_eq!(done["state"], "updated");
    assert_eq!(done["current"], CURRENT);
    world.is_at("0.2.0");
    let programs = ["nodesys", "nodesys-update", "nodesys-update.previous", "nodesys.previous"];
    assert_eq!(world.programs(), programs);
    let kept = std::fs::read(world.path("bin/nodesys.previous")).unwrap();
    assert!(kept == std::fs::read(world.path("real/nodesys")).unwrap());
    assert!(!world.path("home/update/journal.json").exists());
    use std::os::unix::fs::PermissionsExt as _;
    for file in ["state.json", "trusted.json"] {
        let mode = std::fs::metadata(world.path("home/update").join(file)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{file}");
    }
    // The new one goes on from there.
    assert_eq!(world.run("update").json(0)["state"], "current");
    world.real_release("0.3.0", "");
    world.publish();
    let done = world.run("update").json(0);
    assert_eq!((&done["current"], &done["version"]), (&json!("0.2.0"), &json!("0.3.0")));
    world.is_at("0.3.0");
}

#[test]
fn nothing_is_done_where_there_is_nothing_newer() {
    let world = World::with_release(CURRENT);
    assert_eq!(world.run(FIRST).json(0)["state"], "current");
    // The repository and its root are known from now on.
    assert_eq!(world.run("update").json(0)["state"], "current");
    assert_eq!(world.programs(), ["nodesys", "nodesys-update"]);
    world.run("update --roll-back").fails(3, "no update is under way");
    world.run("update --pin x").fails(2, "--pin");
    world.run("update --check --pin 0.2.0").fails(2, "cannot be used with");
    std::fs::remove_file(world.path("bin/nodesys-update")).unwrap();
    world.run("update").fails(3, "put it beside nodesys");
}

#[test]
fn ended_at_any_moment_the_next_run_brings_it_to_its_end() {
    for moment in nodesys_failpoint::UPDATE.into_iter().filter(|it| !it.ends_with("undone")) {
        let world = World::with_release("0.2.0");
        world.run_until(moment, FIRST).was_killed();
        let check = world.run("update --check").json(0);
        assert_eq!(check["state"], "under_way", "{moment}");
        // Whatever is in place can be run, and goes on.
        let again = world.run("update").json(0);
        assert_eq!((&again["state"], &again["version"]), (&json!("updated"), &json!("0.2.0")));
        world.is_at("0.2.0");
        assert!(!world.path("home/update/journal.json").exists(), "{moment}");
        assert_eq!(world.programs().len(), 4, "{moment}: {:?}", world.programs());
    }
}

#[test]
fn ended_while_it_goes_back_the_next_run_goes_back_to_the_end() {
    for moment in nodesys_failpoint::UPDATE.into_iter().filter(|it| it.ends_with("undone")) {
        let world = World::with_release("0.2.0");
        world.run_until("update:swapped", FIRST).was_killed();
        world.is_at("0.2.0");
        world.run_until(moment, "update --roll-back").was_killed();
        let again = world.run("update").json(5);
        assert_eq!(again["state"], "rolled_back", "{moment}");
        world.is_at(CURRENT);
        // It is not tried again, until the operator says so.
        assert_eq!(world.run("update").json(0)["state"], "quarantined", "{moment}");
        assert_eq!(world.run("update --pin 0.2.0").json(0)["state"], "updated");
        world.is_at("0.2.0");
    }
}

#[test]
fn a_program_that_does_not_run_here_is_never_put_in_place() {
    let world = World::without_release();
    let update = world.stand_in("nodesys-update", "0.2.0");
    let bad = world.path("bad");
    for (text, part) in [
        ("no program at all", "does not run on this machine"),
        ("#!/bin/sh\nexit 3\n", "it ends with exit status: 3"),
        ("#!/bin/sh\necho nodesys 0.1.9\n", "it says it is \"nodesys 0.1.9\""),
    ] {
        std::fs::write(&bad, text).unwrap();
        world.release_of("0.2.0", &bad, &update, "");
        world.publish();
        world.run(FIRST).fails(1, part);
        world.is_at(CURRENT);
        assert_eq!(world.programs(), ["nodesys", "nodesys-update"]);
    }
}

#[test]
fn a_file_that_is_not_the_signed_one_is_refused() {
    let world = World::with_release("0.2.0");
    let targets = std::fs::read_dir(world.path("updates/targets")).unwrap().flatten();
    let program =
        targets.map(|it| it.path()).find(|it| it.to_string_lossy().contains(".nodesys-0"));
    let program = program.unwrap();
    let whole = std::fs::read(&program).unwrap();
    std::fs::write(&program, &whole[..whole.len() / 2]).unwrap();
    world.run(FIRST).fails(1, "are signed for");
    let mut other = whole.clone();
    other[0] ^= 1;
    std::fs::write(&program, other).unwrap();
    world.run(FIRST).fails(1, "not the signed");
    std::fs::remove_file(&program).unwrap();
    world.run(FIRST).fails(7, "cannot be read");
    world.is_at(CURRENT);

    // Over HTTP a part is gone on from, and what is wrong is put aside and never run.
    std::fs::write(&program, whole).unwrap();
    let server = serve(world.path("updates"));
    let over_http = format!("update --repository {} --root root.json", server.url);
    server.behave(Way::FlipTargets);
    world.run(&over_http).fails(7, "not the pinned");
    server.behave(Way::Truncated);
    world.run(&over_http).fails(7, "cannot be read");
    world.is_at(CURRENT);
    server.behave(Way::Cut);
    assert_eq!(world.run(&over_http).json(0)["state"], "updated");
    assert!(server.asked_for_a_rest(), "it began anew each time");
    world.is_at("0.2.0");
}

#[test]
fn older_and_held_back_repositories_are_refused() {
    let world = World::with_release(CURRENT);
    assert_eq!(world.run(FIRST).json(0)["state"], "current");
    let copied = std::process::Command::new("cp")
        .args(["-r", "updates", "old"])
        .current_dir(world.path(""))
        .status();
    assert!(copied.unwrap().success());
    world.release("0.2.0", "--cursor 0");
    world.publish();
    assert_eq!(world.run("update").json(0)["state"], "waits");
    world.run("update --repository old").fails(1, "older than what was seen before");
    // Nobody vouches for it any more: a freeze.
    world.tool(
        "--now-secs 1767225600 publish updates --snapshot-key keys/online --timestamp-key \
         keys/online",
    );
    world.run("update").fails(1, "expired at 2026-01-04T00:00:00Z");
    world.publish();
    // Somebody else's keys.
    let other = World::with_release("0.9.0");
    world
        .run(&format!("update --repository {}", other.path("updates").display()))
        .fails(1, "not enough of its keys have signed it");
    world.run("update --repository http://127.0.0.1:1/").fails(7, "cannot be read");
    world.run("update --repository ftp://updates.example.org").fails(2, "only http and https");
    assert_eq!(world.run("update --repository updates").json(0)["state"], "waits");
    world.is_at(CURRENT);
}

#[test]
fn turns_pins_and_stops_decide_which_release_is_taken() {
    let world = World::without_release();
    world.release("0.2.0", "--required-stop");
    world.release("0.3.0", "--cursor 0");
    world.publish();
    // Not this machine's turn, but that of the one before.
    let check = world.run(&format!("{FIRST} --check")).json(0);
    assert_eq!(check["version"], "0.2.0");
    world.run("update --repository updates --root root.json --pin 0.4.0").fails(3, "not listed");
    world.run("update --pin 0.0.9").fails(1, "is older than");
    // The operator's own word goes before the turn, and not past the stop.
    let stop = world.run("update --pin 0.3.0").json(0);
    assert_eq!((&stop["version"], &stop["towards"]), (&json!("0.2.0"), &json!("0.3.0")));
    world.is_at("0.2.0");
    assert_eq!(world.json("home/update/state.json")["pin"], "0.3.0");

    // A pin holds against what is newer.
    let world = World::with_release("0.2.0");
    let pinned = world.run(&format!("{FIRST} --pin {CURRENT}")).json(0);
    assert_eq!((&pinned["state"], &pinned["pin"]), (&json!("current"), &json!(CURRENT)));
    assert_eq!(world.run("update").json(0)["state"], "current");
    assert_eq!(world.run("update --unpin").json(0)["state"], "updated");
    world.is_at("0.2.0");

    // The cursor moves, and never back.
    let world = World::without_release();
    world.release("0.2.0", "--cursor 1");
    world.publish();
    let waits = world.run(FIRST).json(0);
    assert_eq!((&waits["state"], &waits["cursor_ppm"]), (&json!("waits"), &json!(10_000)));
    let cursor = |percent| {
        format!("release cursor updates --version 0.2.0 --cursor {percent} --key keys/targets")
    };
    let back = world.tool_run(&cursor("0.5"));
    assert!(back.code == Some(2) && back.stderr.contains("only rises"), "{}", back.stderr);
    world.tool(&cursor("100"));
    world.publish();
    assert_eq!(world.run("update").json(0)["state"], "updated");
    // Withdrawn, it is not there for those who have not begun.
    let world = World::with_release("0.2.0");
    world.tool("release withdraw updates --version 0.2.0 --key keys/targets");
    world.publish();
    assert_eq!(world.run(FIRST).json(0)["state"], "current");
}

#[test]
fn keys_are_rotated_under_a_node_that_knows_the_first_root_only() {
    let world = World::with_release(CURRENT);
    assert_eq!(world.run(FIRST).json(0)["state"], "current");
    for key in ["dora", "targets2", "online2"] {
        world.tool(&format!("key new keys/{key}"));
    }
    world.tool(
        "root make --root keys/bob.pub --root keys/carl.pub --root keys/dora.pub \
         --targets keys/targets2.pub --snapshot keys/online2.pub --timestamp keys/online2.pub \
         --previous root.json --out root2.json",
    );
    world.tool("root sign root2.json --key keys/bob");
    let early = world.tool_run("root publish updates root2.json");
    assert!(early.code == Some(1) && early.stderr.contains("not signed by enough"));
    world.tool("root sign root2.json --key keys/carl");
    world.tool("root publish updates root2.json");
    world.run("update").fails(1, "not enough of its keys");
    let [nodesys, update] = ["nodesys", "nodesys-update"].map(|it| world.stand_in(it, "0.2.0"));
    let line = format!(
        "release add updates --version 0.2.0 --platform {PLATFORM} --program nodesys={} --program \
         nodesys-update={} --key keys/targets",
        nodesys.display(),
        update.display()
    );
    assert_eq!(world.tool_run(&line).code, Some(1), "the old key speaks no more");
    world.tool(&format!("{line}2"));
    world.tool("publish updates --snapshot-key keys/online2 --timestamp-key keys/online2");
    let done = world.run("update").json(0);
    assert_eq!(
        (&done["state"], &done["repository"]["root_version"]),
        (&json!("updated"), &json!(2))
    );
    world.is_at("0.2.0");
}

#[test]
fn programs_that_somebody_else_changes_are_left_to_them() {
    let world = World::with_release("0.2.0");
    world.run_until("update:fetched", FIRST).was_killed();
    let other = world.stand_in("nodesys-update", "0.1.5");
    std::fs::copy(other, world.path("bin/nodesys-update")).unwrap();
    let ended = world.run("update");
    ended.fails(1, "put that one in place");
    assert_eq!(world.installed("nodesys"), CURRENT);
    assert_eq!(world.installed("nodesys-update"), "0.1.5");
    // The program of before again, it goes back to the end.
    std::fs::remove_file(world.path("bin/nodesys-update")).unwrap();
    std::fs::copy(world.path("real/nodesys-update"), world.path("bin/nodesys-update")).unwrap();
    assert_eq!(world.run("update").json(5)["state"], "rolled_back");
    world.is_at(CURRENT);
}

#[test]
fn one_update_at_a_time_and_only_where_it_may_write() {
    let world = World::with_release("0.2.0");
    std::fs::create_dir_all(world.path("home/update")).unwrap();
    let lock = std::fs::File::create(world.path("home/update/lock")).unwrap();
    lock.lock().unwrap();
    world.run(FIRST).fails(1, "another nodesys command");
    drop(lock);
    std::fs::write(world.path("home/update/journal.json"), "{}").unwrap();
    world.run(FIRST).fails(1, "journal.json is not valid");
    std::fs::remove_file(world.path("home/update/journal.json")).unwrap();
    std::fs::write(world.path("home/update/state.json"), "{\"format\":\"x\"}").unwrap();
    world.run(FIRST).fails(1, "state.json is not valid");
}

#[test]
fn a_node_whose_manager_is_silent_is_not_updated() {
    let world = World::with_release("0.2.0");
    let line = format!("{FIRST} --manager http://127.0.0.1:1");
    world.run(&line).fails(5, "does not answer");
    let check = world.run(&format!("{line} --check")).json(0);
    assert!(check["blocking_reason"].as_str().unwrap().contains("does not answer"), "{check}");
    world.is_at(CURRENT);
}
