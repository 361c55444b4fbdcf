//! An error as AWS answers it.

use serde_json::{Map, Value};

/// An error answer: HTTP status, code, message and the members that the service's model has for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// The code that clients match, for example `InvalidVpcID.NotFound`.
    pub code: String,
    /// The sentence for people.
    pub message: String,
    /// Further members of the error, for JSON protocols, for example `validZones`. Boxed, because a
    /// error travels in every `Result`.
    pub members: Box<Map<String, Value>>,
}

impl ApiError {
    /// An error with `status`, `code` and `message`.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            members: Box::default(),
        }
    }

    /// A client's mistake: status 400.
    pub fn client(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// Adds a member to the error.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }
}
