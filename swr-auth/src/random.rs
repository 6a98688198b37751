//! What nobody can guess, from the random numbers of the operating system.

use chacha20poly1305::aead::Generate as _;

pub(crate) const UPPER_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub(crate) const LETTERS_AND_DIGITS: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    <[u8; N]>::generate()
}

/// So many characters of the alphabet, which is ASCII, each as likely as any other.
pub(crate) fn text(alphabet: &[u8], length: usize) -> String {
    // Bytes beyond the last whole alphabet would make its beginning likelier.
    let whole = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let taken = bytes::<64>().into_iter().map(usize::from).filter(|byte| *byte < whole);
        text.extend(taken.take(length - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_of_the_alphabet_comes_and_no_other() {
        for alphabet in [UPPER_AND_DIGITS, LETTERS_AND_DIGITS, b"a"] {
            let text = text(alphabet, 10_000);
            assert_eq!(text.len(), 10_000);
            assert!(text.bytes().all(|byte| alphabet.contains(&byte)));
            assert!(alphabet.iter().all(|byte| text.as_bytes().contains(byte)));
        }
        assert_ne!(bytes::<32>(), bytes::<32>());
    }
}
