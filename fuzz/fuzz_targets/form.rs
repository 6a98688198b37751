//! Forms that anybody may send, in pieces of any length: the parts are the same as in one piece, hold no more than was
//! sent, and a form that is taken ends with its boundary. The input is a byte for the length of a piece, the boundary on a
//! line of its own as the type of the content names it, and the form.
#![no_main]

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use libfuzzer_sys::fuzz_target;
use swr_core::stream::ByteStream;
use swr_packages::Form;

type Parts = Vec<(Box<str>, Option<Box<str>>, Bytes)>;

/// The parts of a form that comes in pieces of this length, and whether it came to its end; `None` where its type names no
/// boundary.
fn read(content_type: &str, form: &[u8], piece: usize) -> Option<(Parts, bool)> {
    let chunks: Vec<_> = form.chunks(piece).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let body = ByteStream::new(stream::iter(chunks).boxed(), None);
    let mut form = Form::new(content_type, body, 1 << 20).ok()?;
    let reading = async {
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
    Some(reading.now_or_never().expect("everything has come"))
}

fuzz_target!(|data: (u8, &[u8])| {
    let (piece, data) = data;
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (boundary, form) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let Ok(boundary) = std::str::from_utf8(boundary) else { return };
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let Some((parts, is_whole)) = read(&content_type, form, usize::from(piece) + 1) else { return };
    let at_once = read(&content_type, form, form.len().max(1));
    assert_eq!(at_once, Some((parts.clone(), is_whole)));
    assert!(parts.iter().map(|(.., held)| held.len()).sum::<usize>() <= form.len());
    // Quoted, or with more parameters behind it, it is not what was written.
    if boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let last = format!("--{boundary}--");
        assert!(!is_whole || form.windows(last.len()).any(|bytes| bytes == last.as_bytes()));
    }
});
