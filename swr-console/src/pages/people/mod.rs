//! Users, for administrators; accounts, for operators.

pub(crate) mod accounts;
pub(crate) mod users;

use swr_core::control::identity::Role;

use crate::texts::Texts;

/// What a role is called.
pub(crate) fn role(texts: &Texts, role: Role) -> &'static str {
    match role {
        Role::Member => texts.people.member,
        Role::Administrator => texts.people.administrator,
        Role::Operator => texts.people.operator,
    }
}
