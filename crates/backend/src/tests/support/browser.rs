//! A person's browser on a page of the backend: its Origin, its header, its cookie.

use nodesys_core::Address;
use nodesys_core::login::{LoginMessage, LoginRequest, LoginView};
use nodesys_core::signature::{SigningKey, WalletSignature};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Answer, SITE, World};
use crate::front::CSRF_HEADER;

/// A browser. Its fields are what it sends.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    /// Costly to make.
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) origin: Option<String>,
    pub(crate) csrf: Option<String>,
    /// Name and value.
    pub(crate) cookie: Option<String>,
}

impl Browser {
    /// Nobody is signed in.
    pub(crate) fn at(base: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            base: base.to_owned(),
            origin: Some(SITE.to_owned()),
            csrf: Some("1".to_owned()),
            cookie: None,
        }
    }

    /// Signed in with a key.
    pub(crate) async fn of(world: &World, account: &SigningKey) -> Self {
        let mut browser = Self::at(&world.replica.base);
        browser.sign_in(account).await.unwrap();
        browser
    }

    /// Asks, and keeps the cookie of the answer.
    pub(crate) async fn ask(&mut self, method: Method, route: &str, body: &Value) -> Answer {
        let mut request = self
            .http
            .request(method, format!("{}{route}", self.base))
            .header("user-agent", "Test\u{9b}Browser 1");
        for (name, value) in
            [("origin", &self.origin), (CSRF_HEADER.as_str(), &self.csrf), ("cookie", &self.cookie)]
        {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = request.json(body).send().await.unwrap();
        if let Some(set) = answer.headers().get("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let ended = pair.ends_with('=');
            self.cookie = (!ended).then(|| pair.to_owned());
        }
        Answer::of(answer).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&mut self, route: &str) -> T {
        self.ask(Method::GET, route, &Value::Null).await.read()
    }

    /// The text for an account.
    pub(crate) async fn text(&mut self, account: Address) -> LoginMessage {
        self.ask(Method::POST, "/v1/login/messages", &json!({ "account": account })).await.read()
    }

    /// Hands in a signature.
    pub(crate) async fn hand_in(
        &mut self,
        account: Address,
        nonce: &str,
        signature: WalletSignature,
    ) -> Answer {
        let request = LoginRequest { account, nonce: nonce.to_owned(), signature };
        let request = serde_json::to_value(request).unwrap();
        self.ask(Method::POST, "/v1/login", &request).await
    }

    /// Signs the text as a wallet does.
    pub(crate) async fn sign_in(&mut self, account: &SigningKey) -> Result<LoginView, Answer> {
        let text = self.text(account.address()).await;
        let signature = personal_sign(account, &text.message);
        let answer = self.hand_in(account.address(), &text.nonce, signature).await;
        if answer.status == 200 { Ok(answer.read()) } else { Err(answer) }
    }
}

/// `personal_sign` of a key.
pub(crate) fn personal_sign(key: &SigningKey, text: &str) -> WalletSignature {
    key.sign(alloy::primitives::eip191_hash_message(text)).into()
}
