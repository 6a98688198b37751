//! People who have signed in on pages.

use super::*;
use crate::control::session::{Session, SessionHolder, SessionId, SessionProof};

fn by_password(id: u8, user: &User, begun: i64) -> Session {
    let proof = SessionProof::Password(format!("mark {id}").into());
    Session {
        id: SessionId([id; 32]),
        user: user.id.clone(),
        proof,
        begun: minute(begun),
        used: minute(begun),
    }
}

fn by_key(id: u8, user: &User, key: &str, begun: i64) -> Session {
    Session { proof: SessionProof::Key(key_id(key)), ..by_password(id, user, begun) }
}

async fn begin(store: &dyn MetadataStore, session: &Session) -> bool {
    store.begin_session(session, limit(9)).await.unwrap()
}

/// Of these sessions, those that are there.
async fn there<const N: usize>(store: &dyn MetadataStore, ids: [u8; N]) -> Vec<u8> {
    let mut there = Vec::new();
    for id in ids {
        there.extend(store.session(&SessionId([id; 32])).await.unwrap().map(|_| id));
    }
    there
}

/// The user and its account as they are by now; it is used when it was used last.
pub async fn a_session_leads_to_its_holder(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    scene.commit(minute(1), [MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1)))]).await;
    let (first, second) = (by_password(1, &dan(), 2), by_key(2, &bob(), "AK1", 3));
    assert!(begin(store, &first).await && begin(store, &second).await);
    let found = async |session: &Session| store.session(&session.id).await.unwrap();
    let holder = SessionHolder { session: first.clone(), user: dan(), account: south() };
    assert_eq!(found(&first).await, Some(holder));
    assert_eq!(store.session(&SessionId([3; 32])).await.unwrap(), None);

    let renamed = User { name: UserName::parse("Bob").unwrap(), ..bob() };
    scene.commit(minute(4), [MetadataChange::PutUser(renamed.clone())]).await;
    for (at, used) in [(5, 5), (4, 5), (6, 6)] {
        store.use_session(&second.id, minute(at)).await.unwrap();
        let session = Session { used: minute(used), ..second.clone() };
        let holder = SessionHolder { session, user: renamed.clone(), account: north() };
        assert_eq!(found(&second).await, Some(holder));
    }
    assert_eq!(found(&first).await.unwrap().session.used, minute(2));
}

/// There is none of nobody, and none by the key of somebody else.
pub async fn a_session_needs_what_it_is_begun_with(store: &dyn MetadataStore) {
    assert!(!begin(store, &by_password(1, &bob(), 1)).await);
    let scene = Scene::peopled(store).await;
    let keys = [
        MetadataChange::PutAccessKey(access_key("AK1", &bob(), minute(1))),
        MetadataChange::PutTemporaryKey(temporary_key("TK1", &bob(), None, minute(99))),
    ];
    scene.commit(minute(1), keys).await;
    for (id, user, key) in [(2, cyd(), "AK1"), (3, bob(), "TK1"), (4, bob(), "AK2")] {
        assert!(!begin(store, &by_key(id, &user, key, 2)).await, "{key}");
    }
    assert_eq!(there(store, [1, 2, 3, 4]).await, [0; 0]);
    assert!(begin(store, &by_key(5, &bob(), "AK1", 2)).await);
}

/// And with nothing else. One that has ended is not begun again by being used.
pub async fn a_session_ends_when_it_is_ended_and_with_what_it_was_begun_with(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let keys = ["AK1", "AK2"].map(|id| MetadataChange::PutAccessKey(access_key(id, &bob(), minute(1))));
    scene.commit(minute(1), keys).await;
    let sessions = [
        by_password(1, &bob(), 2),
        by_password(2, &bob(), 2),
        by_key(3, &bob(), "AK1", 2),
        by_key(4, &bob(), "AK2", 2),
        by_password(5, &cyd(), 2),
    ];
    for session in &sessions {
        assert!(begin(store, session).await);
    }
    for _ in 0..2 {
        store.end_session(&sessions[0].id).await.unwrap();
        store.use_session(&sessions[0].id, minute(3)).await.unwrap();
        assert_eq!(there(store, [1, 2, 3, 4, 5]).await, [2, 3, 4, 5]);
    }
    scene.commit(minute(4), [MetadataChange::RemoveAccessKey(key_id("AK1"))]).await;
    assert_eq!(there(store, [1, 2, 3, 4, 5]).await, [2, 4, 5]);
    scene.commit(minute(5), [MetadataChange::RemoveUser(bob().id)]).await;
    assert_eq!(there(store, [1, 2, 3, 4, 5]).await, [5]);
    // A commit that is refused as a whole ends nothing.
    let half =
        [MetadataChange::RemoveUser(cyd().id), grant(in_organisation("none"), &ada(), GrantLevel::Read)];
    unmet(scene.attempt(minute(6), [], half).await);
    assert_eq!(there(store, [1, 2, 3, 4, 5]).await, [5]);
}

/// The new one stays, however long ago it was used, and those of others do.
pub async fn sessions_of_a_user_are_so_many_at_most(store: &dyn MetadataStore) {
    Scene::peopled(store).await;
    assert!(begin(store, &by_password(9, &cyd(), 1)).await);
    for (id, begun) in [(1, 5), (2, 3), (3, 4), (4, 3)] {
        assert!(begin(store, &by_password(id, &bob(), begun)).await);
    }
    store.use_session(&SessionId([2; 32]), minute(8)).await.unwrap();
    assert!(store.begin_session(&by_password(5, &bob(), 1), limit(3)).await.unwrap());
    assert_eq!(there(store, [1, 2, 3, 4, 5, 9]).await, [1, 2, 5, 9]);
    // Of one time the ids decide.
    for id in [6, 7] {
        assert!(store.begin_session(&by_password(id, &bob(), 9), limit(9)).await.unwrap());
    }
    assert!(store.begin_session(&by_password(8, &bob(), 9), limit(2)).await.unwrap());
    assert_eq!(there(store, [1, 2, 5, 6, 7, 8, 9]).await, [7, 8, 9]);
}

/// At most as many as asked for of each; they are there until then.
pub async fn sessions_that_are_old_or_idle_are_trimmed(store: &dyn MetadataStore) {
    Scene::peopled(store).await;
    for (id, begun, used) in [(1, 1, 20), (2, 2, 20), (3, 3, 20), (4, 10, 10), (5, 10, 11), (6, 10, 12)] {
        assert!(begin(store, &by_password(id, &bob(), begun)).await);
        store.use_session(&SessionId([id; 32]), minute(used)).await.unwrap();
    }
    let trim = async |begun, used, most| {
        store.trim_sessions(minute(begun), minute(used), limit(most)).await.unwrap()
    };
    assert_eq!(trim(1, 10, 9).await, 0);
    assert_eq!(trim(3, 12, 1).await, 2);
    assert_eq!(there(store, [1, 2, 3, 4, 5, 6]).await.len(), 4);
    assert_eq!(trim(3, 12, 1).await, 2);
    assert_eq!(trim(3, 12, 1).await, 0);
    assert_eq!(there(store, [1, 2, 3, 4, 5, 6]).await, [3, 6]);
}

/// And moves no rights, whatever becomes of it.
pub async fn a_session_leaves_no_trace(store: &dyn MetadataStore) {
    let scene = Scene::peopled(store).await;
    let before = (scene.rights().await, scene.trail().await);
    let session = by_password(1, &bob(), 1);
    assert!(begin(store, &session).await);
    store.use_session(&session.id, minute(2)).await.unwrap();
    store.end_session(&session.id).await.unwrap();
    assert!(begin(store, &session).await);
    assert_eq!(store.trim_sessions(minute(9), minute(9), limit(9)).await.unwrap(), 1);
    assert_eq!((scene.rights().await, scene.trail().await), before);
}
