//! Pieces that pages are made of. Whatever a piece is given is text to it: nothing becomes markup.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use crate::exchange::{Exchange, FORM_TOKEN_FIELD, Frame, Problem};
use crate::form::Form;
use crate::texts::Texts;

/// What every form of a session has in it.
pub(crate) fn token(exchange: &Exchange<'_>) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN_FIELD) value=(exchange.form_token.expose()); }
}

/// The title of a page with what may be done on it.
pub(crate) fn heading(title: &str, lead: Option<&str>, actions: Markup) -> Markup {
    html! {
        header.heading {
            div {
                h1 { (title) }
                @if let Some(lead) = lead { p.lead { (lead) } }
            }
            div.actions { (actions) }
        }
    }
}

/// Where a page is: each step with its address, the last without.
pub(crate) fn trail(texts: &Texts, steps: &[(&str, Option<String>)]) -> Markup {
    html! {
        nav.trail aria-label=(texts.layout.trail) {
            ol {
                @for (name, address) in steps {
                    li {
                        @match address {
                            Some(address) => a href=(address) { (name) },
                            None => span aria-current="page" { (name) },
                        }
                    }
                }
            }
        }
    }
}

/// A line to copy.
pub(crate) fn copy(texts: &Texts, id: &str, text: &str) -> Markup {
    html! {
        div.copy {
            pre { code #(id) { (text) } }
            button.plain.enhanced type="button" data-copy=(id) hidden { (texts.layout.copy) }
        }
    }
}

/// A field with its label, and perhaps a hint below.
pub(crate) struct Field<'t> {
    pub(crate) id: &'t str,
    pub(crate) name: &'t str,
    pub(crate) label: &'t str,
    pub(crate) hint: Option<&'t str>,
}

impl Field<'_> {
    fn around(&self, input: Markup) -> Markup {
        html! {
            div.field {
                label for=(self.id) { (self.label) }
                (input)
                @if let Some(hint) = self.hint { p.hint id=(self.hint_id()) { (hint) } }
            }
        }
    }

    fn hint_id(&self) -> String {
        format!("{}-hint", self.id)
    }

    fn described(&self) -> Option<String> {
        self.hint.map(|_| self.hint_id())
    }

    /// A line of text; `kind` is the type of the input, and `complete` what browsers fill in.
    pub(crate) fn line(&self, kind: &str, value: &str, complete: &str, required: bool, max: usize) -> Markup {
        self.around(html! {
            input id=(self.id) name=(self.name) type=(kind) value=(value) autocomplete=(complete)
                required[required] maxlength=(max) autocapitalize="none" spellcheck="false"
                aria-describedby=[self.described()];
        })
    }

    /// One of a few: values and what they are called.
    pub(crate) fn choice<'c>(
        &self,
        chosen: &str,
        choices: impl IntoIterator<Item = (&'c str, &'c str)>,
    ) -> Markup {
        self.around(html! {
            select id=(self.id) name=(self.name) aria-describedby=[self.described()] {
                @for (value, name) in choices {
                    option value=(value) selected[value == chosen] { (name) }
                }
            }
        })
    }
}

/// A button that opens a dialog, and the dialog. Browsers do it by themselves.
pub(crate) fn dialog(
    texts: &Texts,
    id: &str,
    button: Markup,
    class: &str,
    title: &str,
    body: Markup,
) -> Markup {
    let title_id = format!("{id}-title");
    html! {
        button class=(class) type="button" popovertarget=(id) aria-haspopup="dialog" { (button) }
        div.dialog #(id) popover role="dialog" aria-labelledby=(title_id) {
            header {
                h2 #(title_id) { (title) }
                button.plain type="button" popovertarget=(id) popovertargetaction="hide"
                    aria-label=(texts.layout.close) { "×" }
            }
            (body)
        }
    }
}

/// The word that stands between a person and what cannot be undone.
pub(crate) const WORD: &str = "DELETE";

/// Whether the word was typed.
pub(crate) fn expect_word(form: &Form) -> Result<(), Problem> {
    match form.text("word") {
        WORD => Ok(()),
        _ => Err(Problem::Word),
    }
}

/// A dialog that removes something once [`WORD`] was typed. `fields` are hidden ones that say what.
pub(crate) struct Removal<'t> {
    /// Unlike that of any other on the page: letters, digits and dashes.
    pub(crate) id: &'t str,
    /// Where the form goes.
    pub(crate) action: String,
    /// What the button and the title say.
    pub(crate) title: &'t str,
    /// What will be gone.
    pub(crate) what: &'t str,
    pub(crate) fields: &'t [(&'t str, &'t str)],
}

impl Removal<'_> {
    pub(crate) fn view(&self, exchange: &Exchange<'_>) -> Markup {
        let texts = exchange.texts();
        let word_id = format!("{}-word", self.id);
        let form = html! {
            p { (self.what) }
            form method="post" action=(self.action) data-word=(WORD) {
                (token(exchange))
                @for (name, value) in self.fields { input type="hidden" name=(name) value=(value); }
                (Field { id: &word_id, name: "word", label: &(texts.layout.type_word)(WORD), hint: None }
                    .line("text", "", "off", true, WORD.len()))
                button.danger type="submit" { (self.title) }
            }
        };
        dialog(texts, self.id, html! { (self.title) }, "plain danger-text", self.title, form)
    }
}

/// A point in time, as the deployment's clocks show it.
pub(crate) fn time(at: DateTime<Utc>, offset: TimeDelta) -> Markup {
    html! {
        time datetime=(at.format("%Y-%m-%dT%H:%M:%SZ").to_string()) { ((at + offset).format("%Y-%m-%d %H:%M:%S").to_string()) }
    }
}

/// As much of it as people read.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be shown as 1024 of a unit is 1 of the next.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A field that filters the rows of a table as one types, where there is a script.
pub(crate) fn filter(texts: &Texts, table: &str) -> Markup {
    let id = format!("{table}-filter");
    html! {
        div.filter.enhanced hidden {
            label.visually-hidden for=(id) { (texts.layout.filter) }
            input #(id) type="search" data-filter=(table) placeholder=(texts.layout.filter) autocomplete="off";
        }
    }
}

/// Where the list goes on that comes after the last of `entries`, if it does: they were asked for with one more than
/// `limit`, which goes. `name` is what the parameter says of an entry.
pub(crate) fn next_after<T>(
    frame: &Frame<'_>,
    entries: &mut Vec<T>,
    limit: usize,
    parameter: &str,
    name: impl Fn(&T) -> &str,
) -> Option<String> {
    let is_cut = entries.len() > limit;
    entries.truncate(limit);
    let last = entries.last().filter(|_| is_cut)?;
    Some(frame.here_with(parameter, Some(name(last))))
}

/// Where a list of `total` goes on of which `shown` are shown, from this one on.
pub(crate) fn next_from(frame: &Frame<'_>, from: u64, shown: usize, total: u64) -> Option<String> {
    let reached = from.saturating_add(shown as u64);
    (reached < total).then(|| frame.here_with("from", Some(&reached.to_string())))
}

/// The way to the page after this one.
pub(crate) fn more(texts: &Texts, address: Option<String>) -> Markup {
    html! {
        @if let Some(address) = address {
            nav.more aria-label=(texts.layout.pages) { a.button href=(address) rel="next" { (texts.layout.next) } }
        }
    }
}

/// What stands where a list would, if there were anything in it.
pub(crate) fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// A text as part of an element's id.
pub(crate) fn as_id(prefix: &str, text: &str) -> String {
    let safe = text.bytes().map(|b| match b.is_ascii_alphanumeric() || b == b'-' {
        true => char::from(b).to_string(),
        false => format!("_{b:02x}"),
    });
    format!("{prefix}-{}", safe.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_people_read_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_048_576, "1.0 MiB"),
            (10 << 30, "10.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn no_two_texts_have_one_id() {
        assert_eq!(as_id("delete", "a-b"), "delete-a-b");
        assert_ne!(as_id("delete", "a.b"), as_id("delete", "a_b"));
        assert_ne!(as_id("delete", "a_2e"), as_id("delete", "a."));
    }
}
