//! The table: every route with its caller, size, rate and cost. ARCHITECTURE.md shows it, and a test
//! compares the two, and both with the router. What it says of a caller beyond a signature is required by
//! `who` before a handler runs; a test walks every route with every kind of caller.

/// How often: this many at once, and then this many a minute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) name: &'static str,
    pub(crate) burst: u32,
    pub(crate) per_minute: u32,
}

const fn rate(name: &'static str, burst: u32, per_minute: u32) -> Rate {
    Rate { name, burst, per_minute }
}

/// Rates by network. A route names its own by its place here.
pub(crate) const RATES: [Rate; 9] = [
    rate("read", 600, 1200),
    rate("file", 300, 300),
    rate("wallet", 120, 120),
    rate("lease", 2000, 2000),
    rate("notify", 120, 120),
    rate("upload", 60, 60),
    rate("login", 60, 60),
    rate("account", 300, 300),
    rate("pairing", 600, 600),
];
const READ: Option<usize> = Some(0);
const FILE: Option<usize> = Some(1);
const WALLET: Option<usize> = Some(2);
const LEASE: Option<usize> = Some(3);
const NOTIFYING: Option<usize> = Some(4);
const UPLOAD: Option<usize> = Some(5);
const SIGNING_IN: Option<usize> = Some(6);
const ACCOUNT: Option<usize> = Some(7);
const PAIRING: Option<usize> = Some(8);
/// Counted by what it costs, not by how often it is asked.
const BY_KEY: Option<usize> = None;

/// Rows of nodes looked up for a network: a restart makes a farm look up all of its nodes.
pub(super) const LOOKUPS: Rate = rate("lookups", 2000, 3000);
/// Heartbeats of a node from one network. Accepted ones are bounded by the answers kept, to 16 in
/// three minutes.
pub(super) const HEARTBEATS: Rate = rate("heartbeats", 32, 16);
/// Lease requests of a node: each minute one for each license it stands by for, of which it may have 64.
pub(super) const LEASES: Rate = rate("leases", 192, 128);
pub(super) const NOTIFY: Rate = rate("notify requests", 30, 20);
pub(super) const NOTIFY_TESTS: Rate = rate("test messages", 10, 6);
/// Reads of a project's signer for signatures that do not fit.
pub(super) const SIGNERS: Rate = rate("signers", 30, 30);

/// Codes that an account types.
pub(super) const PAIRING_CODES: Rate = rate("pairing codes", 10, 6);
/// Logins of an account.
pub(super) const LOGINS: Rate = rate("logins", 10, 10);

/// A JSON body.
pub(crate) const BODY: usize = 64 * 1024;
/// A heartbeat of 64 lines, with the numbers at their longest: see the test.
pub(crate) const HEARTBEAT_BODY: usize = 16 * 1024;
/// The largest points file: some three million licenses.
pub(crate) const FILE_BODY: usize = 64 * 1024 * 1024;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Everybody.
    Anyone,
    /// Whoever has signed the body, or what it names: the handler checks it.
    Signer(&'static str),
    /// A page of this backend in a browser: its Origin, and a header that no form can set.
    Page,
    /// Somebody who is signed in, by the cookie; what changes something also comes from such a page.
    Login,
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anyone => "anyone",
            Self::Signer(who) => who,
            Self::Page => "a page of this backend",
            Self::Login => "an account, signed in",
        })
    }
}

/// A route.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "some columns are for readers: of the document"))]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Who may call it.
    pub(crate) caller: Caller,
    /// Largest body.
    pub(crate) body: usize,
    /// Its place in [`RATES`], if it counts by network.
    pub(crate) rate: Option<usize>,
    /// What counts by key, beside the network.
    pub(crate) by_key: &'static str,
    /// Reads of the chain, the database and CPU that one request costs at most.
    pub(crate) cost: &'static str,
}

const fn get(path: &'static str, rate: Option<usize>, cost: &'static str) -> Route {
    Route { method: "GET", path, caller: Caller::Anyone, body: 0, rate, by_key: "", cost }
}

/// A route for those who are signed in.
const fn own(method: &'static str, path: &'static str, cost: &'static str) -> Route {
    Route { method, path, caller: Caller::Login, body: BODY, rate: ACCOUNT, by_key: "", cost }
}

const fn post(
    path: &'static str,
    caller: &'static str,
    rate: Option<usize>,
    by_key: &'static str,
    cost: &'static str,
) -> Route {
    Route { method: "POST", path, caller: Caller::Signer(caller), body: BODY, rate, by_key, cost }
}

const fn put(
    path: &'static str,
    caller: &'static str,
    body: usize,
    by_key: &'static str,
    cost: &'static str,
) -> Route {
    Route { method: "PUT", path, caller: Caller::Signer(caller), body, rate: UPLOAD, by_key, cost }
}

/// Every route, in the order of the data path.
pub(crate) const ROUTES: [Route; 47] = [
    get("/healthz", None, "nothing"),
    get("/metrics", None, "nothing"),
    get("/readyz", READ, "1 row"),
    get("/v1/openapi.json", READ, "1 ms"),
    get("/v1/network", READ, "nothing"),
    get("/v1/projects", READ, "a row per project"),
    get("/v1/projects/{project}", READ, "1 row"),
    post("/v1/nodes", "the wallet with the node", WALLET, "", "3 RPC, 2 signatures, 3 rows"),
    post(
        "/v1/nodes/revocations",
        "the node's wallet",
        WALLET,
        "",
        "1 row; of a known pair 3 RPC, 1 signature, 70 rows",
    ),
    get("/v1/nodes/{node_key}", READ, "65 rows"),
    get("/v1/operators/{operator}", FILE, "501 rows"),
    post(
        "/v1/leases",
        "an authorised node",
        LEASE,
        "node, signed: 192, then 128 a minute",
        "1 signature, 3 rows; with a fresh nonce 7 RPC, 20 rows",
    ),
    get("/v1/leases/{license}", READ, "2 rows"),
    get("/v1/licenses/{collection}/{token_id}", READ, "3 rows"),
    post(
        "/v1/sessions",
        "a stored node",
        BY_KEY,
        "network, node not in memory: 2000, then 3000 a minute",
        "1 row",
    ),
    Route {
        body: HEARTBEAT_BODY,
        ..post(
            "/v1/heartbeats",
            "an authorised node",
            BY_KEY,
            "network, node not in memory: as for sessions; node and network: 32, then 16 a minute; \
             node, accepted: 16 in 3 minutes",
            "1 signature, 64 rows",
        )
    },
    post("/v1/notify", "an authorised node", NOTIFYING, NODE_NOTIFY, "1 signature, 1 DNS, 4 rows"),
    post("/v1/notify/list", "an authorised node", NOTIFYING, NODE_NOTIFY, "1 signature, 8 rows"),
    post("/v1/notify/remove", "an authorised node", NOTIFYING, NODE_NOTIFY, "1 signature, 9 rows"),
    post(
        "/v1/notify/test",
        "an authorised node",
        NOTIFYING,
        "node, signed: 10, then 6 a minute",
        "1 signature, 1 DNS, 1 message, 8 rows",
    ),
    put(
        "/v1/releases/{hash}",
        "anyone, of an announced document",
        BODY,
        "2 look-ups at once",
        "2 rows; of a listed project 4 RPC",
    ),
    get("/v1/releases/{hash}", FILE, "1 row"),
    get("/v1/days/{day}", READ, "1 row"),
    get("/v1/uptime/{project}/{day}", FILE, "1 file; none with its ETag"),
    get("/v1/uptime/{project}/{day}/closed", READ, "3 rows"),
    get(
        "/v1/licenses/{collection}/{token_id}/uptime/{day}",
        FILE,
        "1 file, read off the loop, 500 rows",
    ),
    get("/v1/licenses/{collection}/{token_id}/uptime", FILE, "400 rows"),
    put(
        "/v1/points/{project}/{day}",
        "the project's reward signer",
        FILE_BODY,
        "project: 1 at once; signatures that do not fit: 30, then 30 a minute",
        "1 signature; of the signer 40 RPC, the day's files, 1 core for the day's size",
    ),
    get("/v1/points/{project}/{day}", FILE, "1 file"),
    get(
        "/v1/points/{project}/{day}/rewards",
        FILE,
        "1 file; before the commit the same day once, and 2 RPC in 2 s",
    ),
    Route {
        rate: UPLOAD,
        ..post(
            "/v1/commits",
            "the project's reward signer",
            UPLOAD,
            "as for points",
            "1 signature; of the signer 50 RPC, the day's files, 1 core for the day's size",
        )
    },
    get("/v1/commits/{project}/{day}", READ, "2 rows, 2 RPC in 2 s over all"),
    get("/v1/bundles/{project}/{day}/{file}", FILE, "1 file; none with its ETag"),
    get("/v1/proofs/{project}/{account}", READ, "20 rows, 2 RPC in 2 s over all"),
    get("/v1/roots/{project}", READ, "a row per day, 2 RPC in 2 s over all"),
    get("/v1/projects/{project}/badge", READ, "a row per day, 2 RPC in 2 s over all"),
    get("/v1/rewards/{account}", FILE, "20 rows per project, 2 RPC in 2 s over all"),
    Route { caller: Caller::Page, ..post("/v1/login/messages", "", SIGNING_IN, "", "nothing") },
    Route {
        caller: Caller::Page,
        ..post(
            "/v1/login",
            "",
            SIGNING_IN,
            "account, signed: 10, then 10 a minute",
            "4 RPC, 1 signature, 20 rows",
        )
    },
    own("GET", "/v1/login", "17 rows"),
    own("DELETE", "/v1/login", "18 rows"),
    own("GET", "/v1/logins", "17 rows"),
    own("DELETE", "/v1/logins/{login}", "18 rows"),
    Route { caller: Caller::Anyone, ..post("/v1/pairings", "", WALLET, "", "1 row") },
    post("/v1/pairings/state", "the node that began it, by its secret", PAIRING, "", "1 row"),
    Route {
        by_key: "account: 10, then 6 a minute; pairing: 5 wrong codes",
        ..own("POST", "/v1/pairings/{pairing}/claims", "3 rows")
    },
    own("POST", "/v1/pairings/{pairing}/signature", "4 RPC, 1 signature, 4 rows"),
];
const NODE_NOTIFY: &str = "node, signed: 30, then 20 a minute";

impl Route {
    /// The route of a request.
    pub(crate) fn find(method: &str, path: &str) -> Option<&'static Self> {
        let method = if method == "HEAD" { "GET" } else { method };
        ROUTES.iter().find(|route| route.method == method && route.path == path)
    }
}

/// A route's rate by network.
#[cfg(test)]
pub(crate) fn per_network(route: &Route) -> Option<Rate> {
    route.rate.map(|rate| RATES[rate])
}
