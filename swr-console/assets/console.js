// What a page does beyond what it does without a script. It knows elements by their `data-` attributes, and
// nothing of what they are about.
"use strict";

(() => {
  const status = document.getElementById("status");
  const say = (text) => { if (status) status.textContent = text; };

  for (const element of document.querySelectorAll(".enhanced")) element.hidden = false;

  // data-copy="id": copies the text of that element.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Where pages may not write to the clipboard, the person may.
      getSelection().selectAllChildren(source);
      if (!document.execCommand("copy")) return;
    }
    const label = button.textContent;
    button.textContent = document.body.dataset.copied;
    say(document.body.dataset.copied);
    setTimeout(() => { button.textContent = label; }, 2000);
  });

  // data-filter="id": shows those rows of that table alone that have the text in them.
  document.addEventListener("input", (event) => {
    const input = event.target.closest("[data-filter]");
    const table = input && document.getElementById(input.dataset.filter);
    if (!table) return;
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const row of table.querySelectorAll("tbody > tr")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      if (!row.hidden) shown += 1;
    }
    say(document.body.dataset.matches.replace("{}", shown));
  });

  // data-open: a form that was refused stands in a dialog, which is opened again and says why.
  for (const form of document.querySelectorAll("form[data-open]")) {
    const dialog = form.closest("[popover]");
    const notice = document.querySelector(".notice.bad");
    if (!dialog?.showPopover) continue;
    if (notice) form.before(notice);
    dialog.showPopover();
  }

  // data-word="WORD": a form that can be sent once the word was typed.
  for (const form of document.querySelectorAll("form[data-word]")) {
    const word = form.elements.namedItem("word");
    const button = form.querySelector("button[type=submit]");
    const check = () => { button.disabled = word.value.trim() !== form.dataset.word; };
    word.addEventListener("input", check);
    check();
  }

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if (form.method === "post") form.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  // data-preview="address": asks there, with what is in the form, as one types, and shows the answer in the element
  // that data-preview-in names. Only the last answer counts.
  for (const form of document.querySelectorAll("form[data-preview]")) {
    const target = document.getElementById(form.dataset.previewIn);
    let timer = 0;
    let latest = 0;
    const ask = async () => {
      const turn = ++latest;
      const fields = new URLSearchParams(new FormData(form));
      fields.delete("form_token");
      const answer = await fetch(`${form.dataset.preview}?${fields}`, { headers: { accept: "text/html" } });
      const text = await answer.text();
      if (turn !== latest || !answer.ok || answer.redirected) return;
      const parsed = new DOMParser().parseFromString(text, "text/html");
      target.replaceChildren(...parsed.body.childNodes);
    };
    const later = () => { clearTimeout(timer); timer = setTimeout(() => ask().catch(() => {}), 250); };
    form.addEventListener("input", later);
    if (target) later();
  }
})();
