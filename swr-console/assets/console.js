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

  // data-preview="address": as one types, sends the fields that data-preview-fields names there, and shows the answer in
  // the element that data-preview-in names. Only the last answer counts.
  for (const form of document.querySelectorAll("form[data-preview]")) {
    const target = document.getElementById(form.dataset.previewIn);
    let timer = 0;
    let latest = 0;
    const ask = async () => {
      const body = new URLSearchParams({ fragment: "yes" });
      const typed = new FormData(form);
      for (const name of form.dataset.previewFields.split(" ")) body.append(name, typed.get(name) ?? "");
      // Not in the address: that is written down on the way, and too short for the longest rule.
      const answer = await fetch(form.dataset.preview, { method: "POST", body });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok && !page.querySelector("main")) return page.body.childNodes;
      // A whole page, which says why.
      const told = page.querySelector("main p");
      if (told) told.className = "wrong";
      return told ? [told] : [];
    };
    const show = async () => {
      const turn = ++latest;
      // What stands there is of other fields, whatever becomes of these.
      const answer = await ask().catch(() => []);
      if (turn === latest) target.replaceChildren(...answer);
    };
    const later = () => { clearTimeout(timer); timer = setTimeout(show, 250); };
    form.addEventListener("input", later);
    later();
  }

  // data-upload="id": sends the files of the form one after the other, and shows in that list how far each has come
  // and what became of it.
  for (const form of document.querySelectorAll("form[data-upload]")) {
    const list = document.getElementById(form.dataset.upload);
    const files = form.querySelector("input[type=file]");
    const words = form.dataset;

    const line = (file) => {
      const item = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = file.name;
      const bar = document.createElement("progress");
      bar.setAttribute("aria-label", file.name);
      bar.max = 1;
      bar.value = 0;
      const note = document.createElement("p");
      note.className = "quiet";
      item.append(name, bar, note);
      list.append(item);
      return { item, bar, note };
    };

    const send = (file, { item, bar, note }) => new Promise((done) => {
      const data = new FormData();
      for (const [name, value] of new FormData(form)) {
        if (typeof value === "string") data.append(name, value);
      }
      data.append("fragment", "yes");
      data.append(files.name, file);
      const request = new XMLHttpRequest();
      request.open("POST", form.getAttribute("action"));
      request.responseType = "document";
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable && event.total) bar.value = event.loaded / event.total;
      });
      request.upload.addEventListener("load", () => {
        bar.removeAttribute("value");
        note.textContent = words.taking;
      });
      request.addEventListener("loadend", () => {
        const answer = request.response;
        if (request.status === 200 && answer && !answer.querySelector("main")) {
          item.replaceChildren(...answer.body.childNodes);
        } else {
          bar.remove();
          const told = answer && answer.querySelector("main p");
          note.textContent = told ? told.textContent : words.failed;
          note.className = "wrong";
        }
        done();
      });
      request.send(data);
    });

    form.addEventListener("submit", async (event) => {
      const named = form.elements.namedItem("repository");
      // What is named for several files the server refuses, in its own words.
      if (form.dataset.sent || (named && named.value && files.files.length > 1)) return;
      event.preventDefault();
      if (files.files.length > Number(words.most)) {
        say(words.tooMany);
        list.textContent = words.tooMany;
        setTimeout(() => { delete form.dataset.sent; });
        return;
      }
      list.textContent = "";
      const chosen = [...files.files].map((file) => [file, line(file)]);
      for (const [file, shown] of chosen) await send(file, shown);
      files.value = "";
      delete form.dataset.sent;
    });
  }
})();
