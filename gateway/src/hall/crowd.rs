//! How many clients each user has, and how many there are whose tokens name no user.
//!
//! An index of the book's clients: told of each that is entered and each that is forgotten. Bounds are kept by whoever
//! decides about a newcomer. A user who was drawn at random is nobody's second client, so those are counted together.

use std::collections::BTreeMap;

use tidewire_core::id::{ApplicationId, Label};

use super::book::Client;

#[derive(Debug, Default)]
pub struct Crowd {
    users: BTreeMap<(ApplicationId, Label), usize>,
    nameless: usize,
}

impl Crowd {
    /// Clients of one user.
    pub fn of(&self, application: &ApplicationId, user: &Label) -> usize {
        self.users.get(&(application.clone(), user.clone())).copied().unwrap_or_default()
    }

    /// Clients of nobody in particular, of all applications.
    pub fn nameless(&self) -> usize {
        self.nameless
    }

    pub(super) fn add(&mut self, client: &Client) {
        if client.is_named {
            *self.users.entry(user(client)).or_default() += 1;
        } else {
            self.nameless += 1;
        }
    }

    pub(super) fn remove(&mut self, client: &Client) {
        if !client.is_named {
            self.nameless = self.nameless.saturating_sub(1);
            return;
        }
        let user = user(client);
        match self.users.get_mut(&user) {
            Some(1) | None => drop(self.users.remove(&user)),
            Some(count) => *count -= 1,
        }
    }
}

fn user(client: &Client) -> (ApplicationId, Label) {
    (client.application.clone(), client.member.user_id.clone())
}
