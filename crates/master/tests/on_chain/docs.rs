//! docs/owner.md's commands that only need a chain, as they are printed, with real addresses in place of its
//! examples. Those that need a backend are the stories of test/e2e; they are named here, so that a new command
//! is in one of the two.

use alloy::primitives::U256;
use alloy::providers::Provider as _;
use nodesys_chain::bindings::DevToken;
use nodesys_chain::keystore;
use nodesys_core::signature::SigningKey;
use nodesys_testing::anvil::{Anvil, funded};
use serde_json::{Value, json};

use super::{OTHER, Stage};

const OWNER: &str = include_str!("../../../../docs/owner.md");
const RELEASES: &str = include_str!("../../../../docs/releases.md");

/// They need a backend and its closed days.
const WITH_A_BACKEND: [&str; 6] =
    ["serve", "points preview", "commit", "day show", "post", "release publish"];

/// The commands of the page, block by block.
fn blocks() -> Vec<Vec<&'static str>> {
    let fenced = OWNER.split("\n```").skip(1).step_by(2);
    let shell = fenced.filter_map(|block| block.strip_prefix("sh\n"));
    shell.map(|block| block.lines().collect()).collect()
}

/// The block that begins with this command.
fn block(begins: &str) -> Vec<&'static str> {
    let found = blocks().into_iter().find(|block| block[0].contains(begins));
    found.unwrap_or_else(|| panic!("no block begins with {begins}"))
}

fn needs_a_backend(line: &str) -> bool {
    let rest = line.strip_prefix("nodesys-master ").expect("a command of ours");
    WITH_A_BACKEND.iter().any(|command| {
        rest.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

/// A chain at the page's time, with keys, parameter files, and what the page's addresses stand for.
struct Page {
    stage: Stage,
    places: Vec<(&'static str, String)>,
    ran: usize,
}

impl Page {
    async fn open() -> Self {
        // Before the terms of 1 February are announced.
        let stage = Stage::on(Anvil::start(&["--timestamp", "1769300000"])).await;
        let other = || SigningKey::from_hex(OTHER).expect("a key");
        let release = SigningKey::from_bytes(&[9; 32]).expect("a key");
        let keys = [("owner", funded()), ("operator", funded()), ("guardian", other())];
        for (name, key) in
            keys.iter().map(|(name, key)| (*name, key)).chain([("release-key", &release)])
        {
            let path = stage.path(&format!("{name}.json"));
            keystore::create(&path, key, "secret").expect("a keystore");
        }
        let rpc = stage.provider.rpc();
        let params = (release.address(), U256::from(10).pow(U256::from(20)));
        let _: Value = rpc.raw_request("anvil_setBalance".into(), params).await.expect("set");

        let builder =
            DevToken::deploy_builder(rpc, "Reward".to_owned(), "RWD".to_owned(), stage.owner);
        let token = stage.deploy(builder.into_transaction_request()).await;
        let reward = DevToken::new(token, rpc);
        let mint = reward.mint(stage.owner, U256::from(10).pow(U256::from(24)));
        stage.provider.send("minting", mint.into_transaction_request()).await.expect("minted");
        let places = vec![
            ("0x4444444444444444444444444444444444444444", release.address().to_string()),
            ("0x1111111111111111111111111111111111111111", stage.owner.to_string()),
        ];
        let page = Self { stage, places, ran: 0 };
        page.file("registry.json", include_str!("../../registry.example.json"));
        page.file("license.json", include_str!("../../license.example.json"));
        page.file("terms.json", include_str!("../../terms.example.json"));
        let mut project: Value =
            serde_json::from_str(include_str!("../../project.example.json")).expect("an example");
        project["token"] = json!(token);
        project["guardian"] = json!(other().address());
        page.file("project.json", &project.to_string());
        let release = RELEASES.split("```json release\n").nth(1).expect("a release");
        page.file("render.json", release.split("```").next().expect("its end"));
        page
    }

    /// A parameter file, with the page's addresses replaced.
    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.stage.path(name), self.real(text)).expect("a file");
    }

    fn real(&self, text: &str) -> String {
        let replaced = |text: String, (printed, real): &(&str, String)| text.replace(printed, real);
        self.places.iter().fold(text.to_owned(), replaced)
    }

    /// Runs a line as it is printed; what it says.
    fn run(&mut self, line: &str) -> String {
        let line = self.real(line);
        let arguments: Vec<&str> = line.split(' ').skip(1).collect();
        let output = self.stage.output("owner", &arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{errors}");
        self.ran += 1;
        String::from_utf8(output.stdout).expect("words")
    }

    fn json(&mut self, line: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} -o json"))).expect("JSON")
    }
}

#[tokio::test]
async fn the_commands_of_the_owners_page_run_as_printed() {
    let mut page = Page::open().await;
    let mut registry = block("registry create").into_iter();
    let made = page.json(registry.next().expect("its first line"));
    let address = made["address"].as_str().expect("an address").to_owned();
    page.stage.settings =
        vec![("NODESYS_REGISTRY", address), ("NODESYS_PROJECT", "acme".to_owned())];
    let mut network: Value =
        serde_json::from_str(include_str!("../../network.example.json")).expect("an example");
    network["chain_id"] = json!("31337");
    network["registry"] = made["address"].clone();
    page.file("network.json", &network.to_string());
    registry.for_each(|line| drop(page.run(line)));

    // A Safe prepares a project of its own; then the owner with a key makes one of that name.
    let safe = block("--safe-batch project.batch.json");
    page.run(safe[0]);
    let create = block("project create --params project.json --sender-keystore");
    page.run(create[0]);
    let made = page.json(create[1]);
    let collection = made["address"].as_str().expect("an address").to_owned();
    page.places.insert(0, ("0x2222222222222222222222222222222222222222", collection));
    page.file("sale.json", include_str!("../../sale.example.json"));
    create[2..].iter().for_each(|line| drop(page.run(line)));
    for line in &safe[1..] {
        if !needs_a_backend(line) {
            // The collection's minter is its sale, which a preparation does not know.
            page.run(line);
        }
    }

    for line in block("release key") {
        if !needs_a_backend(line) {
            page.run(line);
        }
    }
    block("project announce-terms").iter().for_each(|line| drop(page.run(line)));

    let decisions = block("project signer --set");
    decisions[..2].iter().for_each(|line| drop(page.run(line)));
    let pending = page.json(decisions[2]);
    let calls = pending["waiting"].as_array().expect("queued calls");
    assert_eq!(calls.len(), 2, "{pending}");
    let call = "0x2222222222222222222222222222222222222222222222222222222222222222";
    page.stage.pass(8 * 86_400).await;
    for (line, queued) in decisions[3..].iter().zip(calls) {
        let hash = queued["hash"].as_str().expect("a hash").to_owned();
        page.places.insert(0, (call, hash));
        page.run(line);
        page.places.remove(0);
    }
    for begins in ["project signer --disable", "license delist", "project transfer"] {
        block(begins).iter().for_each(|line| drop(page.run(line)));
    }

    let all: Vec<&str> = blocks().into_iter().flatten().collect();
    let elsewhere = all.iter().filter(|line| needs_a_backend(line)).count();
    assert_eq!(page.ran + elsewhere, all.len(), "a command of the page was not run");
}
