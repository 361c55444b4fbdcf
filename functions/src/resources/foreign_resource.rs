//! Something that is not the cluster's, as it is named to a person.

use std::fmt;

use crate::contract::Error;

/// Something that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// CloudFormation's type name.
    pub kind: &'static str,
    /// Its id, or its name where it has no id.
    pub id: String,
    /// The account that it belongs to, where AWS says so.
    pub owner: Option<String>,
    /// What AWS says that it is for.
    pub note: Option<String>,
}

impl Foreign {
    /// Something of this kind; no note is known.
    #[must_use]
    pub fn new(kind: &'static str, id: Option<&str>, owner: Option<&str>) -> Self {
        Self {
            kind,
            id: id.unwrap_or("without an id").to_owned(),
            owner: owner.map(ToOwned::to_owned),
            note: None,
        }
    }

    /// The same, with what AWS says that it is for.
    #[must_use]
    pub fn with_note(mut self, note: Option<&str>) -> Self {
        self.note = note.filter(|note| !note.is_empty()).map(ToOwned::to_owned);
        self
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)?;
        let owner = self.owner.as_ref().map(|owner| format!("owner {owner}"));
        let facts: Vec<String> = owner.into_iter().chain(self.note.clone()).collect();
        if facts.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", facts.join(", "))
    }
}

/// The error, if there is something.
///
/// # Errors
/// [`Error::ResourceConflict`] that lists each thing with type, id and owner.
pub fn refuse(found: &[Foreign]) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = found.iter().map(ToString::to_string).collect();
    Err(Error::ResourceConflict(format!(
        "remove these, or move them away, then start the teardown again: {}",
        list.join("; ")
    )))
}
