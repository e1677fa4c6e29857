//! Commands that are repeated while their first transaction waits: nothing is done twice.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use alloy::providers::Provider as _;
use nodesys_chain::bindings::{DevToken, NodeLicense};
use nodesys_core::{Address, U256};
use nodesys_testing::anvil::ask;
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
