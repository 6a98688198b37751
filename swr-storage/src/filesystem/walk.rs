//! What a folder holds, some at a time: memory does not grow with the folder.

use std::fs::File;
use std::io;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _};
use rustix::fs::Dir;
use swr_core::ports::StoreError;

use super::{Root, blocking, fault};

/// How many names are looked at before others get their turn.
const STEP: usize = 128;

/// Walks a folder on blocking threads and asks `look` about each name. What cannot be looked at is an error
/// in the stream, and the walk goes on; it ends early only where the folder itself cannot be read. A folder
/// that is not there holds nothing.
pub(super) fn walk<T: Send + 'static>(
    root: &Arc<Root>,
    operation: &'static str,
    open: impl FnOnce(&Root) -> io::Result<Option<File>> + Send + 'static,
    look: impl Fn(&Root, &str) -> Result<Option<T>, StoreError> + Send + Sync + 'static,
) -> impl Stream<Item = Result<T, StoreError>> + Send + 'static {
    let root = root.clone();
    let opened = async move {
        let dir = blocking(operation, {
            let root = root.clone();
            move || {
                let opened = open(&root).and_then(|file| Ok(file.map(Dir::new).transpose()?));
                opened.map_err(|error| fault(operation, error))
            }
        });
        (dir.await, root)
    };
    let look = Arc::new(look);
    stream::once(opened).flat_map(move |(dir, root)| match dir {
        Err(error) => stream::iter([Err(error)]).left_stream(),
        Ok(dir) => {
            let look = look.clone();
            let steps = stream::unfold(dir, move |dir| {
                let (root, look) = (root.clone(), look.clone());
                async move {
                    let mut dir = dir?;
                    let step = blocking(operation, move || {
                        let (found, more) = step(&root, operation, &mut dir, &*look);
                        Ok::<_, StoreError>((found, more.then_some(dir)))
                    });
                    Some(step.await.unwrap_or_else(|error| (vec![Err(error)], None)))
                }
            });
            steps.flat_map(stream::iter).right_stream()
        }
    })
}

/// Looks at the next names; says whether there may be more.
fn step<T>(
    root: &Root,
    operation: &'static str,
    dir: &mut Dir,
    look: &impl Fn(&Root, &str) -> Result<Option<T>, StoreError>,
) -> (Vec<Result<T, StoreError>>, bool) {
    let mut found = Vec::new();
    for _ in 0..STEP {
        match dir.read() {
            None => return (found, false),
            Some(Err(error)) => {
                found.push(Err(fault(operation, error.into())));
                return (found, false);
            }
            Some(Ok(entry)) => match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) => found.extend(look(root, name).transpose()),
                Err(_) => foreign(&entry.file_name().to_string_lossy()),
            },
        }
    }
    (found, true)
}

/// Reports a name that is none of ours. What it names is left alone.
pub(super) fn foreign(name: &str) {
    tracing::warn!(name, "there is something in the store that it did not put there");
}
