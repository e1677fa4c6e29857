//! Commands that are repeated while their first transaction waits: nothing is done twice.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use alloy::providers::Provider as _;
use nodesys_chain::bindings::{DevToken, NodeLicense, ProjectRegistry};
use nodesys_core::{Address, U256};
use nodesys_testing::anvil::{Anvil, ask};
use serde_json::json;

use super::{Stage, text};

/// A command that was started, and has sent its transaction.
struct Started {
    child: Child,
    words: BufReader<std::process::ChildStderr>,
}

impl Started {
    fn new(stage: &Stage, arguments: &[&str]) -> Self {
        let mut child = stage.command("owner", arguments);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let words = BufReader::new(child.stderr.take().unwrap());
        Self { child, words }
    }

    /// The first line with this part.
    fn says(&mut self, part: &str) -> String {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.words.read_line(&mut line).unwrap(), 0, "it never said {part}");
        }
        line
    }

    /// As Ctrl-C does.
    fn interrupt(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let line = self.says("nodesys-master: stopped");
        assert_eq!(self.child.wait().unwrap().code(), Some(130));
        line
    }
}

impl Stage {
    async fn automine(&self, yes: bool) {
        ask(&self.provider, "evm_setAutomine", json!([yes])).await;
    }

    /// Sends by a command, which is interrupted; repeats it, and only then lets blocks come.
    async fn interrupted_and_repeated(&self, arguments: &[&str]) {
        self.automine(false).await;
        let mut first = Started::new(self, arguments);
        let shown = first.says("waiting for its block");
        let hash = shown.split_whitespace().find(|word| word.starts_with("0x")).unwrap();
        let hash = hash.trim_end_matches(':').to_owned();
        assert!(first.interrupt().contains("Run the same command again"));

        let mut second = Started::new(self, arguments);
        assert!(second.says("of an earlier run waits").contains(&hash));
        // The first may have been stopped before it handed its transaction over; the second does.
        let (rpc, mined) = (self.provider.rpc(), self.nonce().await);
        let mut pending = mined;
        while pending == mined {
            pending = rpc.get_transaction_count(self.owner).pending().await.unwrap();
        }
        assert_eq!(pending, mined + 1, "one transaction waits");
        self.automine(true).await;
        ask(&self.provider, "evm_mine", json!([])).await;
        let ended = second.child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_mint_is_not_made_twice_while_its_first_transaction_waits() {
    let stage = Stage::start().await;
    let file = stage.license_file("license.json", stage.owner);
    let collection = Stage::address(&stage.run(&["license", "create", "--params", text(&file)]));
    let (at, owner) = (collection.to_string(), stage.owner.to_string());
    let mint = ["license", "mint", "--collection", &at, "--to", &owner, "--first", "1"];
    stage.interrupted_and_repeated(&[&mint[..], &["--count", "22"]].concat()).await;
    let bound = NodeLicense::new(collection, stage.provider.rpc());
    assert_eq!(bound.totalSupply().call().await.unwrap(), U256::from(22));
}

#[tokio::test]
async fn a_project_is_not_funded_twice_while_its_first_transaction_waits() {
    let stage = Stage::start().await;
    let named = stage.project().await;
    let shown = stage.run(&named.project(&["show"]));
    let address = |field: &str| shown[field].as_str().unwrap().parse::<Address>().unwrap();
    let token = DevToken::new(address("token"), stage.provider.rpc());
    let mint = token.mint(stage.owner, U256::from(5000)).into_transaction_request();
    stage.provider.send("minting", mint).await.unwrap();
    stage.interrupted_and_repeated(&named.project(&["fund", "--up-to", "1000"])).await;
    let funded = token.balanceOf(address("project")).call().await.unwrap();
    assert_eq!(funded, U256::from(1000));
}

/// On a chain where it has to be five minutes old.
#[tokio::test]
async fn a_project_is_reserved_once_and_its_name_shown_only_when_it_is_safe() {
    const CHAIN: u64 = 10;
    let chain = CHAIN.to_string();
    let stage = Stage::on_chain(Anvil::start(&["--chain-id", &chain]), CHAIN).await;
    let rpc = stage.provider.rpc();
    let builder = ProjectRegistry::deploy_builder(rpc, stage.owner);
    let registry = stage.deploy(builder.into_transaction_request()).await;
    let builder = DevToken::deploy_builder(rpc, "Reward".into(), "RWD".into(), stage.owner);
    let token = stage.deploy(builder.into_transaction_request()).await;
    let params = json!({
        "name": "acme", "token": token, "signer": stage.owner, "daily_quota": "1000",
        "delay_secs": 86_400,
    });
    let file = stage.write("project.json", &params);
    let at = registry.to_string();
    let create = ["project", "create", "--params", text(&file), "--registry", &at];
    let by_name = async || {
        let registry = ProjectRegistry::new(registry, rpc);
        registry.projectByName("acme".into()).call().await.unwrap()
    };

    let before = stage.nonce().await;
    let mut first = Started::new(&stage, &create);
    first.says("can be created in");
    first.interrupt();
    assert_eq!(stage.nonce().await, before + 1);
    let sent = rpc.get_transaction_by_sender_nonce(stage.owner, before).await.unwrap().unwrap();
    let input = alloy::consensus::Transaction::input(&sent).to_vec();
    assert!(!input.windows(4).any(|part| part == b"acme"), "the reservation shows the name");
    let mut second = Started::new(&stage, &create);
    second.says("can be created in");
    assert_eq!((stage.nonce().await, by_name().await), (before + 1, Address::ZERO));

    stage.pass(300).await;
    let ended = second.child.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        second.words.lines().map_while(Result::ok).last().unwrap()
    );
    assert_eq!(stage.nonce().await, before + 2);
    assert_ne!(by_name().await, Address::ZERO);
}
