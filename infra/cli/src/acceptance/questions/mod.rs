//! What only an account can answer: each thing that hardway believes of AWS and that no document and no
//! captured answer settles, as a question with an answer.
//!
//! A wrong belief is told and stops nothing: the run itself shows what follows from it.

mod catalogue;
pub(super) mod cluster;
pub(super) mod events;
pub(super) mod iam;
pub(super) mod network;

use serde::Serialize;

pub(super) use catalogue::{CATALOGUE, Question};

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

/// What an answer means for what hardway believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    /// AWS does as hardway believes.
    AsBelieved,
    /// AWS does otherwise.
    Otherwise,
    /// Hardway does not depend on it; the answer is worth keeping.
    Recorded,
    /// It could not be asked here; why.
    NotAnswered,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said(pub Verdict, pub String);

impl Said {
    pub fn believed(is_so: bool, what: impl Into<String>) -> Self {
        let verdict = if is_so {
            Verdict::AsBelieved
        } else {
            Verdict::Otherwise
        };
        Self(verdict, what.into())
    }

    pub fn recorded(what: impl Into<String>) -> Self {
        Self(Verdict::Recorded, what.into())
    }

    pub fn not_answered(why: impl Into<String>) -> Self {
        Self(Verdict::NotAnswered, why.into())
    }
}

/// A question with its answer, as the report has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    #[serde(flatten)]
    pub question: Question,
    pub verdict: Verdict,
    pub answer: String,
}

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<Asked>);

impl Answers {
    /// Keeps an answer; a question is answered once.
    pub fn keep(&mut self, id: &str, said: Said) {
        let question = CATALOGUE.iter().find(|it| it.id == id);
        debug_assert!(question.is_some(), "no question {id}");
        let is_known = self.0.iter().any(|it| it.question.id == id);
        if let Some(question) = question.filter(|_| !is_known) {
            self.0.push(Asked {
                question: *question,
                verdict: said.0,
                answer: said.1,
            });
        }
    }

    /// All questions in the order of the catalogue; those that nobody got to ask have `why` for an answer.
    pub fn all(&self, why: &str) -> Vec<Asked> {
        let answer = |question: &Question| {
            let found = self.0.iter().find(|it| it.question.id == question.id);
            found.cloned().unwrap_or_else(|| Asked {
                question: *question,
                verdict: Verdict::NotAnswered,
                answer: question.never.unwrap_or(why).to_owned(),
            })
        };
        CATALOGUE.iter().map(answer).collect()
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply<T> {
    /// It was accepted.
    Accepted(T),
    /// AWS refused it, with this code and message.
    Refused(String, String),
    /// There was no answer of AWS.
    Silence(String),
}

impl<T> Reply<T> {
    /// The reply of an SDK call.
    pub fn of<E, R>(result: Result<T, SdkError<E, R>>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        match result {
            Ok(value) => Self::Accepted(value),
            Err(error) => match error.code() {
                Some(code) => {
                    let message = error.message().unwrap_or("no message");
                    Self::Refused(code.to_owned(), message.to_owned())
                }
                None => Self::Silence(super::place::said(&error)),
            },
        }
    }

    /// The code of an error.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(code, _) => Some(code),
            Self::Accepted(_) | Self::Silence(_) => None,
        }
    }

    /// The message of an error.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(_, message) => message,
            Self::Accepted(_) | Self::Silence(_) => "",
        }
    }

    /// What is needed to go on; otherwise why a question cannot be answered.
    pub fn or_why(self, call: &str) -> Result<T, Said> {
        match self {
            Self::Accepted(value) => Ok(value),
            other => Err(Said::not_answered(format!("{call}: {}", other.words()))),
        }
    }

    /// The reply in words.
    pub fn words(&self) -> String {
        match self {
            Self::Accepted(_) => "accepted".to_owned(),
            Self::Refused(code, message) => format!("{code}: {message}"),
            Self::Silence(why) => format!("no answer: {why}"),
        }
    }

    /// Why the reply says nothing of the question, if it does not: no answer, an operation that is not
    /// there, a caller who may not ask.
    pub fn says_nothing(&self) -> Option<Said> {
        let is_silent = matches!(self, Self::Silence(_));
        let is_unknown = self.code().is_some_and(|code| UNKNOWN.contains(&code));
        (is_silent || is_unknown).then(|| Said::not_answered(self.words()))
    }
}

/// What an AWS says that does not have the operation.
const UNKNOWN: &[&str] = &[
    "InvalidAction",
    "UnknownOperationException",
    "UnsupportedOperation",
    "UnsupportedOperationException",
];

/// What a question that could not be put together says.
pub(super) fn either(said: Result<Said, Said>) -> Said {
    said.unwrap_or_else(|why| why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_question_has_an_id_of_its_own_and_is_in_the_report_unasked() {
        let ids: BTreeSet<&str> = CATALOGUE.iter().map(|it| it.id).collect();
        assert_eq!(ids.len(), CATALOGUE.len());
        let all = Answers::default().all("the run ended before");
        assert_eq!(all.len(), CATALOGUE.len());
        assert!(all.iter().all(|it| it.verdict == Verdict::NotAnswered));
        assert!(all.iter().all(|it| !it.answer.is_empty()));
    }

    #[test]
    fn the_first_answer_counts() {
        let mut answers = Answers::default();
        let id = CATALOGUE[0].id;
        answers.keep(id, Said::believed(false, "otherwise"));
        answers.keep(id, Said::not_answered("too late"));
        let all = answers.all("unasked");
        assert_eq!(all[0].verdict, Verdict::Otherwise);
        assert_eq!(all[0].answer, "otherwise");
    }

    #[test]
    fn an_operation_that_is_not_there_answers_nothing() {
        let refused = |code: &str| Reply::<()>::Refused(code.to_owned(), "x".to_owned());
        assert!(refused("InvalidAction").says_nothing().is_some());
        assert!(refused("AuthFailure").says_nothing().is_none());
        assert!(Reply::Accepted(()).says_nothing().is_none());
        let silence = Reply::<()>::Silence("no route".to_owned());
        assert_eq!(
            silence.says_nothing(),
            Some(Said::not_answered("no answer: no route"))
        );
    }
}
