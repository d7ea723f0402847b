//! What a test tells the fake, and asks it.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::accounts::{AccountSpec, CLIENT_ID, TOKEN_SECONDS};
use super::fault::Fault;
use super::images::png;
use super::record::Recorded;
use super::script::Reply;
use super::settings::{Indexing, Links, Settings};
use super::{FakeChatGpt, transcripts};

/// Accounts and credentials.
impl FakeChatGpt {
    /// The account of that name, made where there is none: an access token for ten days.
    pub fn account(&self, name: &str) -> String {
        self.shared.world().accounts.issue(name, TOKEN_SECONDS)
    }

    /// Makes or changes an account: an access token for it.
    pub fn account_with(&self, spec: AccountSpec) -> String {
        let mut world = self.shared.world();
        let account = world.accounts.open(&spec.name);
        if !spec.plan.is_empty() {
            account.plan = spec.plan;
        }
        account.teams = spec.teams;
        let expires_in = spec.expires_in.unwrap_or(TOKEN_SECONDS);
        world.accounts.issue(&spec.name, expires_in)
    }

    /// One more access token for the account.
    pub fn new_token(&self, name: &str) -> String {
        self.account(name)
    }

    /// An access token that has expired.
    pub fn expired_token(&self, name: &str) -> String {
        self.shared.world().accounts.issue(name, -3600)
    }

    /// The id of the account's personal workspace.
    pub fn account_id(&self, name: &str) -> String {
        self.shared.world().accounts.open(name).workspace.clone()
    }

    /// An access token is no longer good.
    pub fn revoke(&self, token: &str) {
        if let Some(issued) = self.shared.world().accounts.tokens.get_mut(token) {
            issued.is_revoked = true;
        }
    }

    /// The account is closed.
    pub fn deactivate(&self, name: &str) {
        self.shared.world().accounts.open(name).is_deactivated = true;
    }

    /// A refresh token for the client that Aurora uses by default.
    pub fn refresh_token(&self, name: &str) -> String {
        self.refresh_token_for(name, CLIENT_ID)
    }

    /// A refresh token for another client.
    pub fn refresh_token_for(&self, name: &str, client_id: &str) -> String {
        let accounts = &mut self.shared.world().accounts;
        accounts.issue_refresh(name, client_id)
    }

    /// A session token; it is good for one exchange.
    pub fn session_token(&self, name: &str) -> String {
        self.shared.world().accounts.issue_session(name)
    }

    /// Session tokens that are good now: the ones handed out and not exchanged yet.
    pub fn live_session_tokens(&self) -> Vec<String> {
        let world = self.shared.world();
        world.accounts.sessions.keys().cloned().collect()
    }

    /// Whether each exchange of a refresh token gives a new one and spends the old.
    pub fn rotate_refresh(&self, rotates: bool) {
        self.shared.world().accounts.rotates_refresh = rotates;
    }

    /// Whether session tokens made from now on are too long for one cookie.
    pub fn long_session_cookies(&self, long: bool) {
        self.shared.world().accounts.has_long_sessions = long;
    }

    /// A device id that `/backend-anon` takes.
    pub fn device(&self) -> String {
        let id = Uuid::new_v4().to_string();
        self.shared.world().accounts.devices.insert(id.clone());
        id
    }

    /// Takes a device id that the test chose.
    pub fn take_device(&self, id: &str) {
        let mut world = self.shared.world();
        world.accounts.devices.insert(id.to_owned());
    }
}

/// Answers.
impl FakeChatGpt {
    /// Queues the answer to a turn that no marker claims.
    pub fn reply(&self, reply: Reply) -> &Self {
        self.shared.world().script.queue.push_back(reply);
        self
    }

    /// Answers every turn whose last user text contains `marker`; the latest of several markers counts.
    pub fn reply_when(&self, marker: &str, reply: Reply) -> &Self {
        let mut world = self.shared.world();
        world.script.marked.push((marker.to_owned(), reply));
        self
    }

    /// Lets calls fail. The pattern is a method and a path without the API prefix, such as `POST /files` or
    /// `PUT /files/*/raw`: `*` stands for any method or segment, a last `**` for the rest.
    pub fn fault(&self, pattern: &str, fault: Fault) -> &Self {
        self.shared.world().faults.add(pattern, fault);
        self
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.world().settings);
    }

    /// Where download addresses lead to.
    pub fn links(&self, links: Links) {
        self.set(|settings| settings.links = links);
    }

    /// How the indexing of documents goes.
    pub fn indexing(&self, indexing: Indexing) {
        self.set(|settings| settings.indexing = indexing);
    }

    /// Whether ids of files made from now on look as they did in earlier years: `file-` and 22 letters and digits, in
    /// pointers with `file-service://`.
    pub fn old_file_ids(&self, old: bool) {
        self.shared.world().files.has_old_ids = old;
    }

    /// The next `count` download addresses have expired when they are made.
    pub fn stale_links(&self, count: usize) {
        self.set(|settings| settings.stale_links = count);
    }

    /// The next `count` lookups of a download address say `retry`.
    pub fn slow_links(&self, count: usize) {
        self.set(|settings| settings.slow_links = count);
    }

    /// Whether speech comes as an address in the blob store.
    pub fn speech_by_url(&self, by_url: bool) {
        self.set(|settings| settings.speech_by_url = by_url);
    }

    /// Whether transcriptions come as plain text.
    pub fn plain_transcripts(&self, plain: bool) {
        self.set(|settings| settings.plain_transcripts = plain);
    }

    /// Whether `prepare` gives a conduit token; it does by default.
    pub fn conduit_tokens(&self, given: bool) {
        self.set(|settings| settings.no_conduit = !given);
    }

    /// Refuses longer messages; absent by default.
    pub fn max_message_chars(&self, limit: Option<usize>) {
        self.set(|settings| settings.max_message_chars = limit);
    }

    /// Whether there are websockets; there are by default.
    pub fn websockets(&self, served: bool) {
        self.set(|settings| settings.no_websocket = !served);
    }

    /// Closes each websocket when it has had that many frames.
    pub fn websocket_closes_after(&self, frames: usize) {
        self.set(|settings| settings.websocket_frames = Some(frames));
    }

    /// What `/models` says.
    pub fn models(&self, models: Value) {
        self.set(|settings| settings.models = Some(models));
    }

    /// Whether a second turn of an account is refused while one runs; it is by default.
    pub fn one_at_a_time(&self, refused: bool) {
        self.shared.world().tally.parallel = !refused;
    }

    /// A file that the code tool leaves behind, such as `/mnt/data/a.csv`; messages that link it can have it.
    pub fn sandbox_file(&self, path: &str, bytes: impl Into<bytes::Bytes>) {
        let mut world = self.shared.world();
        world.files.sandbox.insert(path.to_owned(), bytes.into());
    }

    /// The names of the shipped transcripts.
    pub fn transcripts() -> Vec<&'static str> {
        transcripts::names()
    }

    /// A square PNG, to be uploaded.
    pub fn picture(side: u32) -> bytes::Bytes {
        png(side, 7)
    }
}

/// What happened.
impl FakeChatGpt {
    /// All requests, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.world().requests.clone()
    }

    /// The requests of one call, such as `POST /f/conversation`.
    pub fn calls(&self, call: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.call() == call);
        requests
    }

    /// The turns: requests to either name of the conversation call.
    pub fn turns(&self) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| {
            ["POST /f/conversation", "POST /conversation"].contains(&request.call().as_str())
        });
        requests
    }

    /// The stored conversation as `GET` would give it, also a temporary or hidden one; null where there is none.
    pub fn conversation(&self, id: &str) -> Value {
        let world = self.shared.world();
        let conversation = world.conversations.by_id.get(id);
        conversation.map_or(Value::Null, super::conversations::Conversation::to_json)
    }

    /// The ids of all conversations, in the order they began.
    pub fn conversations(&self) -> Vec<String> {
        self.shared.world().conversations.order.clone()
    }

    /// Whether the conversation is there and hidden.
    pub fn hidden(&self, id: &str) -> bool {
        let world = self.shared.world();
        let conversation = world.conversations.by_id.get(id);
        conversation.is_some_and(|conversation| !conversation.is_visible)
    }

    /// Whether the conversation is there and temporary.
    pub fn temporary(&self, id: &str) -> bool {
        let world = self.shared.world();
        let conversation = world.conversations.by_id.get(id);
        conversation.is_some_and(|conversation| conversation.is_temporary)
    }

    /// The bytes of a file that was uploaded or made.
    pub fn file(&self, id: &str) -> Option<bytes::Bytes> {
        self.shared.world().files.by_id.get(id)?.bytes.clone()
    }

    /// How many turns of the account run now.
    pub fn running(&self, account: &str) -> usize {
        self.count(account, |tally| &tally.now)
    }

    /// How many turns of the account ran at the same moment at the most.
    pub fn most_running(&self, account: &str) -> usize {
        self.count(account, |tally| &tally.most)
    }

    fn count(
        &self,
        account: &str,
        of: fn(&super::running::Tally) -> &HashMap<String, usize>,
    ) -> usize {
        let world = self.shared.world();
        of(&world.tally).get(account).copied().unwrap_or_default()
    }

    /// How many conversation streams a client dropped before their answers were complete.
    pub fn abandoned(&self) -> usize {
        self.shared.world().tally.abandoned.values().sum()
    }

    /// What clients said over websockets, command by command.
    pub fn websocket_commands(&self) -> Vec<Value> {
        self.shared.world().commands.clone()
    }
}
