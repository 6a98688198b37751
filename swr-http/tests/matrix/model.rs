//! What the answer has to be, by the product's page ("Grants", "Sharing", "Login", "Pushing and pulling") and the
//! page of the management protocol (1.7). Written from those alone: nothing here asks the product.

use swr_core::ports::Action;

use crate::identities::{Identity, Level, Person, Role, Shown, Withdrawal};
use crate::targets::{Account, Organisation, Target};

/// When something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// As the first request there is, of anybody.
    First,
    /// After others of the same caller about the same thing.
    Warm,
    /// After all of that, and then roles, grants, shares, keys, users and passwords were taken away, and the public
    /// repository was made private.
    Withdrawn,
}

/// What the caller needs for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// Nothing; but a token has to be for it.
    Catalogue,
    /// To be signed in.
    SignIn,
    /// To pull, push or delete.
    Content(Action),
    /// To push, about an upload that was begun; of a token this is enough as well.
    Upload(Action),
    /// To push to the one, and to be able to pull from the other.
    Mount { into: Option<Target>, from: Option<Target> },
    /// To be a registry administrator.
    Administration,
    /// To look after the deployment.
    Operation,
    /// To belong to the account that owns the target's organisation, or to look after the deployment.
    Belonging,
    /// To be an administrator of that account, or to look after the deployment.
    Oversight,
    /// The target's account to be its own.
    OwnProject,
    /// This level in the organisation.
    Organisation(Level),
    /// This level in the repository, or in its organisation.
    Repository(Level),
    /// To be able to pull, having signed in.
    View,
    /// A login, for a token that says what it is good for.
    Login,
    /// A login in the request itself.
    LoginInForm,
    /// A password.
    Password,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It is done.
    Done(u16),
    // The registry's protocol.
    /// 401 with the challenge: `authentication required`.
    Challenged,
    /// 403: `you do not have the permission`.
    Denied,
    /// 403: `Image organization does not exist, you should create it first`.
    NoOrganisation,
    /// 404 with this code, for whoever may know.
    Unknown(&'static str),
    // The management protocol.
    /// 401 of the gate.
    Unsigned,
    /// 401, for a token.
    BadToken,
    /// 403: `you do not have the permission`.
    TooLittle,
    /// 403: the project is another account's.
    ForeignProject,
    /// 404: there is no such organisation or repository, or it is none of the caller's business.
    Hidden,
    /// The caller may, and it cannot be done: this status.
    Impossible(u16),
    // Where tokens are given out.
    /// 401 with a challenge to show a name and a password.
    WrongLogin,
    /// 401: `authentication required`, where there is nothing to be challenged to.
    WrongPassword,
}

/// Which list a caller is shown its part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// What it may pull.
    Catalogue,
    /// The repositories of its account that it may pull.
    Own,
    /// Those of these that are shared with anybody.
    SharedByUs,
    /// What other accounts share with its own, also what they did once.
    SharedWithUs,
    /// The organisations that it may do something in all of.
    Organisations,
}

/// What somebody is to the registry at a door.
enum Caller {
    Stranger,
    Person(Person),
    Bearer {
        person: Option<Person>,
        token: Token,
    },
    /// Somebody who has shown something that is worth nothing.
    Nobody,
}

/// A token: in which repository it gives what, whose subject could have had that when it was given out; and whether it
/// is for the catalogue.
struct Token {
    catalogue: bool,
    repository: Option<Target>,
    gives: Vec<Action>,
}

impl Token {
    fn lists(&self, target: Target) -> bool {
        self.repository == Some(target)
    }

    fn covers(&self, target: Target, action: Action) -> bool {
        self.lists(target) && self.gives.contains(&action)
    }
}

/// What the user may do without regard to a token, at this time.
fn person(identity: Identity, phase: Phase) -> Option<Person> {
    let person = identity.person()?;
    Some(match phase {
        Phase::First | Phase::Warm => person,
        Phase::Withdrawn => Person {
            // Whoever looks after the deployment stays: it is the last one.
            role: if person.role == Role::Operator { Role::Operator } else { Role::Member },
            organisation: None,
            repositories: None,
            ..person
        },
    })
}

/// Whether what it was proven with is gone.
fn is_cut_off(identity: Identity, phase: Phase) -> bool {
    phase == Phase::Withdrawn && matches!(identity.withdrawal(), Withdrawal::Key | Withdrawal::User)
}

fn level_in_organisation(person: Person, organisation: Organisation) -> Option<Level> {
    match organisation.owner() {
        Some(owner) if owner == person.account && person.administers() => Some(Level::Manage),
        Some(_) if organisation == Organisation::Home => person.organisation,
        _ => None,
    }
}

fn level_in_repository(person: Person, target: Target) -> Option<Level> {
    let granted = match target {
        Target::Public | Target::Private => person.repositories,
        _ => None,
    };
    level_in_organisation(person, target.organisation()).max(granted)
}

/// Whether it may pull, were it there; without a right only where it is there.
fn may_pull(person: Option<Person>, target: Target, phase: Phase) -> bool {
    let granted = person.and_then(|person| level_in_repository(person, target));
    let is_open = phase != Phase::Withdrawn
        && match target {
            Target::Public => true,
            Target::Shared => person.is_some_and(|person| person.account == Account::Omni),
            _ => false,
        };
    granted.is_some() || is_open
}

pub(crate) fn may(person: Option<Person>, target: Target, action: Action, phase: Phase) -> bool {
    let level = person.and_then(|person| level_in_repository(person, target));
    match action {
        Action::Pull => may_pull(person, target, phase),
        Action::Push => level >= Some(Level::Edit),
        Action::Delete => level >= Some(Level::Manage),
    }
}

/// What a token for the target gives that the identity gets before anything is withdrawn.
pub(crate) fn token_gives(identity: Identity, target: Target, wanted: &[Action]) -> Vec<Action> {
    let may = |action: &Action| may(identity.person(), target, *action, Phase::Warm);
    wanted.iter().copied().filter(may).collect()
}

/// What a login gets a token for at this time: of all actions in the target, those that it may.
pub(crate) fn login_gives(identity: Identity, target: Target, phase: Phase) -> Vec<Action> {
    let all = [Action::Pull, Action::Push, Action::Delete];
    all.into_iter().filter(|action| may(person(identity, phase), target, *action, phase)).collect()
}

fn caller(identity: Identity, target: Target, phase: Phase) -> Caller {
    if is_cut_off(identity, phase) {
        return Caller::Nobody;
    }
    match (identity.shown(), person(identity, phase)) {
        (Shown::Nothing, _) => Caller::Stranger,
        (Shown::Key | Shown::Login { expired: false }, Some(person)) => Caller::Person(person),
        (Shown::Token { wanted, elsewhere, expired: false }, person) => {
            let repository = (!elsewhere).then_some(target);
            Caller::Bearer {
                person,
                token: Token {
                    catalogue: elsewhere,
                    repository,
                    gives: token_gives(identity, target, wanted),
                },
            }
        }
        _ => Caller::Nobody,
    }
}

/// Whether the caller may do this to content, and what it is told where it may not.
fn content(caller: &Caller, target: Target, action: Action, phase: Phase) -> Result<(), Outcome> {
    content_given(caller, target, action, &[action], phase)
}

/// The same, where a token has to give one of `given`.
fn content_given(
    caller: &Caller,
    target: Target,
    action: Action,
    given: &[Action],
    phase: Phase,
) -> Result<(), Outcome> {
    let denied = match (action, target.organisation()) {
        (Action::Push, Organisation::Void) => Outcome::NoOrganisation,
        _ => Outcome::Denied,
    };
    match caller {
        Caller::Nobody => Err(Outcome::Challenged),
        Caller::Stranger if may(None, target, action, phase) => Ok(()),
        Caller::Stranger => Err(Outcome::Challenged),
        Caller::Person(person) if may(Some(*person), target, action, phase) => Ok(()),
        Caller::Person(_) => Err(denied),
        Caller::Bearer { token, .. } if !token.lists(target) => Err(Outcome::Challenged),
        Caller::Bearer { person, token } => {
            let covers = given.iter().any(|action| token.covers(target, *action));
            match (may(*person, target, action, phase), covers) {
                (true, true) => Ok(()),
                _ if person.is_none() => Err(Outcome::Challenged),
                (true, false) => Err(Outcome::Denied),
                (false, _) => Err(denied),
            }
        }
    }
}

/// The answer of the registry's protocol; `there` and `absent` are those to whoever may.
pub(crate) fn of_registry(
    needs: Needs,
    identity: Identity,
    target: Target,
    phase: Phase,
    [there, absent]: [Outcome; 2],
) -> Outcome {
    let caller = caller(identity, target, phase);
    match needs {
        // Whoever shows something wrong is told so even where nothing is needed.
        Needs::Nothing | Needs::Catalogue if matches!(caller, Caller::Nobody) => Outcome::Challenged,
        Needs::Catalogue if matches!(&caller, Caller::Bearer { token, .. } if !token.catalogue) => {
            Outcome::Challenged
        }
        Needs::Nothing | Needs::Catalogue => there,
        Needs::SignIn => match caller {
            Caller::Person(_) | Caller::Bearer { person: Some(_), .. } => there,
            _ => Outcome::Challenged,
        },
        Needs::Content(action) => match content(&caller, target, action, phase) {
            Err(refusal) => refusal,
            Ok(()) if target.exists() => there,
            Ok(()) => absent,
        },
        Needs::Upload(lesser) => {
            let given = [Action::Push, lesser];
            match content_given(&caller, target, Action::Push, &given, phase) {
                Err(refusal) => refusal,
                Ok(()) if target.exists() => there,
                Ok(()) => absent,
            }
        }
        Needs::Mount { into, from } => {
            let (into, from) = (into.unwrap_or(target), from.unwrap_or(target));
            if let Err(refusal) = content(&caller, into, Action::Push, phase) {
                return refusal;
            }
            match content(&caller, from, Action::Pull, phase) {
                Err(Outcome::Challenged) => Outcome::Challenged,
                Ok(()) if from.exists() => there,
                // What may not be read holds nothing.
                _ => absent,
            }
        }
        needs => unreachable!("{needs:?} is of another protocol"),
    }
}

/// The answer of the management protocol.
pub(crate) fn of_management(
    needs: Needs,
    identity: Identity,
    target: Target,
    phase: Phase,
    [there, absent]: [Outcome; 2],
) -> Outcome {
    if needs == Needs::Nothing {
        return there;
    }
    // A login, and a token of the registry's protocol, sign nothing.
    let signer = match (identity.shown(), person(identity, phase)) {
        (Shown::Key, Some(person)) if !is_cut_off(identity, phase) => person,
        (Shown::ManagementToken, Some(person)) if phase != Phase::Withdrawn => person,
        (Shown::ManagementToken, _) => return Outcome::BadToken,
        _ => return Outcome::Unsigned,
    };
    let held = |level: Option<Level>, needed, otherwise| match level {
        Some(level) if level >= needed && target.exists() => there,
        Some(level) if level >= needed => absent,
        Some(_) => Outcome::TooLittle,
        None => otherwise,
    };
    let sees = may_pull(Some(signer), target, phase);
    match needs {
        Needs::SignIn => there,
        Needs::Administration if signer.administers() => there,
        Needs::Administration => Outcome::TooLittle,
        Needs::Operation if signer.role == Role::Operator => there,
        Needs::Operation => Outcome::TooLittle,
        Needs::Belonging | Needs::Oversight => {
            let owner = target.organisation().owner();
            match (needs, owner == Some(signer.account), signer.role) {
                (_, _, Role::Operator) if owner.is_some() => there,
                (Needs::Belonging, true, _) | (_, true, Role::Administrator) => there,
                (_, true, _) => Outcome::TooLittle,
                // Of others' accounts it is not said whether they are there.
                (_, false, _) => Outcome::Hidden,
            }
        }
        Needs::OwnProject if target.organisation().owner() == Some(signer.account) => there,
        Needs::OwnProject => Outcome::ForeignProject,
        // An organisation is there or not, whatever the repository; nobody has a level in one that is not.
        Needs::Organisation(needed) => match level_in_organisation(signer, target.organisation()) {
            Some(level) if level >= needed => there,
            Some(_) => Outcome::TooLittle,
            None => Outcome::Hidden,
        },
        Needs::Repository(needed) => {
            let otherwise = if sees { Outcome::TooLittle } else { Outcome::Hidden };
            held(level_in_repository(signer, target), needed, otherwise)
        }
        Needs::View if sees && target.exists() => there,
        Needs::View if sees => absent,
        Needs::View => Outcome::Hidden,
        needs => unreachable!("{needs:?} is of another protocol"),
    }
}

/// The answer of where tokens are given out.
pub(crate) fn of_tokens(needs: Needs, identity: Identity, phase: Phase, done: Outcome) -> Outcome {
    let is_right = match identity.shown() {
        Shown::Key | Shown::Login { expired: false } => !is_cut_off(identity, phase),
        // It is shown in a form.
        Shown::RefreshToken => needs == Needs::LoginInForm && !is_cut_off(identity, phase),
        _ => false,
    };
    let is_gone = identity == Identity::GoneUser
        || phase == Phase::Withdrawn && identity.withdrawal() == Withdrawal::User;
    match (needs, identity.shown()) {
        // A stranger gets a token for what is public.
        (Needs::Login, Shown::Nothing) => done,
        (Needs::Login | Needs::LoginInForm, _) if is_right => done,
        (Needs::Login | Needs::LoginInForm, _) => Outcome::WrongLogin,
        // No token gets anybody a token of this kind.
        (Needs::Password, Shown::Token { .. } | Shown::RefreshToken | Shown::ManagementToken) => {
            Outcome::Impossible(400)
        }
        (Needs::Password, Shown::Nothing | Shown::WrongKey) => Outcome::WrongPassword,
        // What becomes of its keys is nothing to a password.
        (Needs::Password, _) if is_gone => Outcome::WrongPassword,
        (Needs::Password, _) => done,
        (needs, _) => unreachable!("{needs:?} is of another protocol"),
    }
}

/// Whether a list that the identity is shown has the target in it.
pub(crate) fn is_listed(list: List, identity: Identity, target: Target, phase: Phase) -> bool {
    let person = person(identity, phase);
    let account = person.map(|person| person.account);
    let is_own = account.is_some() && target.organisation().owner() == account;
    // With `umbrella`, whatever becomes of what is shared with `omni`.
    let is_shared = target.exists() && target != Target::Public;
    let readable = target.exists() && may_pull(person, target, phase);
    match list {
        List::Catalogue => readable,
        List::Own => readable && is_own,
        List::SharedByUs => readable && is_own && is_shared,
        List::SharedWithUs => {
            let with_omni = matches!(target, Target::Shared | Target::ShareExpired);
            account == Some(Account::Omni) && with_omni && phase != Phase::Withdrawn
        }
        List::Organisations => {
            person.is_some_and(|person| level_in_organisation(person, target.organisation()).is_some())
        }
    }
}
