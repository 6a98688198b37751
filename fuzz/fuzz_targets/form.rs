//! Forms that anybody may send, in pieces of any length: the parts are the same as in one piece, hold no more than was
//! sent, and a form that is taken ends with its boundary.
#![no_main]

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use libfuzzer_sys::fuzz_target;
use swr_core::stream::ByteStream;
use swr_packages::Form;

type Parts = Vec<(Box<str>, Option<Box<str>>, Bytes)>;

/// The parts of a form that comes in pieces of this length, and whether it came to its end.
fn read(form: &[u8], piece: usize) -> (Parts, bool) {
    let chunks: Vec<_> = form.chunks(piece).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let body = ByteStream::new(stream::iter(chunks).boxed(), None);
    let reading = async {
        let mut form = Form::new("multipart/form-data; boundary=b", body, 1 << 20).unwrap();
        let mut parts = Parts::new();
        loop {
            match form.next().await {
                Ok(Some(part)) => match part.body.collect(1 << 20).await {
                    Ok(held) => parts.push((part.name, part.file_name, held)),
                    Err(_) => return (parts, false),
                },
                Ok(None) => return (parts, true),
                Err(_) => return (parts, false),
            }
        }
    };
    reading.now_or_never().expect("everything has come")
}

fuzz_target!(|data: (u8, &[u8])| {
    let (piece, form) = data;
    let (parts, is_whole) = read(form, usize::from(piece) + 1);
    let at_once = read(form, form.len().max(1));
    assert_eq!(at_once, (parts.clone(), is_whole));
    assert!(parts.iter().map(|(.., held)| held.len()).sum::<usize>() <= form.len());
    assert!(!is_whole || form.windows(5).any(|bytes| bytes == b"--b--"));
});
