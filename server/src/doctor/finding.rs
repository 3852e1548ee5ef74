//! What a check found: a fact, how good it is, what it costs, what mends it.

use serde::Serialize;

/// How good a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Grade {
    Ok,
    /// It works, and something is lost by it.
    CouldBeBetter,
    /// The start fails, or nobody can use what was started.
    Broken,
}

impl Grade {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::CouldBeBetter => "could be better",
            Self::Broken => "broken",
        }
    }
}

/// One line of the doctor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at; stable.
    pub(super) check: &'static str,
    pub(super) grade: Grade,
    pub(super) fact: String,
    /// What is lost by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) costs: Option<String>,
    /// One command, or one sentence where no command does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, fact: impl Into<String>) -> Self {
        Self { check, grade: Grade::Ok, fact: fact.into(), costs: None, mend: None }
    }

    pub(super) fn could(check: &'static str, fact: impl Into<String>, costs: &str, mend: impl Into<String>) -> Self {
        Self {
            grade: Grade::CouldBeBetter,
            costs: Some(costs.to_owned()),
            mend: Some(mend.into()),
            ..Self::ok(check, fact)
        }
    }

    pub(super) fn broken(check: &'static str, fact: impl Into<String>, costs: &str, mend: impl Into<String>) -> Self {
        Self { grade: Grade::Broken, ..Self::could(check, fact, costs, mend) }
    }
}
