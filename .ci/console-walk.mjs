// People in front of the console: each line it prints is one check, and fails as well when the browser has seen a fault.
//
// usage: node console-walk.mjs ORIGIN FOLDER [--screenshots DIR]    (the folder is that of `.ci/console`)

import { createServer } from "node:http";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { LOOKS, Visitor, launch } from "./watched-browser.mjs";

const [origin, folder, ...rest] = process.argv.slice(2);
const pictures = rest[0] === "--screenshots" ? rest[1] : null;
const shown = (user, what = "") => JSON.parse(readFileSync(join(folder, `console-${user}${what}.json`)));

/** The password of users that are made on the way. */
const PASSWORD = "what a walk begins with";

let passed = 0;
let failed = 0;

/** Does the work; it holds unless something is thrown, or the visitor has seen a fault. */
async function check(name, visitor, work) {
  const since = performance.now();
  let problem = null;
  try {
    await work(visitor.page);
  } catch (error) {
    const alert = await visitor.page.getByRole("alert").allTextContents().catch(() => []);
    problem = [error.message.slice(0, 1500), `at ${visitor.page.url().slice(0, 200)}`, ...alert].join("\n");
  }
  const faults = [...new Set(visitor.faults.splice(0))];
  if (problem === null && faults.length === 0) {
    passed += 1;
    console.log(`ok    ${name} (${((performance.now() - since) / 1000).toFixed(1)} s)`);
    return;
  }
  failed += 1;
  console.log(`FAIL  ${name}`);
  for (const line of [...(problem?.split("\n") ?? []), ...faults.slice(0, 20)]) console.log(`      ${line}`);
}

function same(what, expected, seen) {
  const [left, right] = [JSON.stringify(expected), JSON.stringify(seen)];
  if (left !== right) throw new Error(`${what}: expected ${left}, got ${right}`);
}

function holds(what, seen) {
  if (!seen) throw new Error(`this does not hold: ${what}`);
}

// ---- what people do

async function signIn(page, account, user, password) {
  await page.goto("/console/sign-in");
  await page.getByLabel("Account", { exact: true }).fill(account);
  await page.getByLabel("User", { exact: true }).fill(user);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).first().click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
}

async function signInWithKey(page, { access_key_id, secret_access_key }) {
  await page.goto("/console/sign-in");
  await page.getByText("With an access key").click();
  await page.getByLabel("Access key ID").fill(access_key_id);
  await page.getByLabel("Secret access key").fill(secret_access_key);
  await page.getByRole("button", { name: "Sign in" }).last().click();
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
}

/** The page says that it was done. */
function done(page, text) {
  return page.getByRole("main").getByRole("status").filter({ hasText: text }).first().waitFor();
}

/** Opens a dialog that removes something, finds its button useless, types the word, and presses it. */
async function remove(visitor, button, within) {
  const dialog = await visitor.open(button, within);
  const press = dialog.getByRole("button", { name: button, exact: true });
  const word = dialog.getByLabel("Type DELETE to confirm");
  for (const typed of ["", "delete", "DELET"]) {
    await word.fill(typed);
    holds(`“${typed}” is not the word`, await press.isDisabled());
  }
  await word.fill("DELETE");
  await press.click();
}

const row = (page, name) => page.getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });

// ---- nobody in particular

async function strangers(browser) {
  const visitor = await Visitor.enter(browser, origin);
  const { password } = shown("admin");
  await check("what pages may not do is noticed", visitor, async (page) => {
    await visitor.go("/console/sign-in");
    await page.evaluate(() => {
      console.error("written");
      document.body.append(
        Object.assign(document.createElement("script"), { textContent: "alert(1)" }),
        Object.assign(document.createElement("img"), { src: "http://127.0.0.1:1/" }),
        Object.assign(document.createElement("img"), { src: "/console/assets/none.png" }),
        Object.assign(document.createElement("table"), { width: 2000 }),
        document.createElement("button"),
      );
      setTimeout(() => { throw new Error("thrown"); });
    });
    await page.waitForLoadState("networkidle");
    await visitor.appear(LOOKS[0], "a spoilt page");
    const seen = visitor.faults.splice(0).join("\n");
    for (const fault of [
      "console: written", "page error: thrown", "policy: script-src", "request to http://127.0.0.1:1/", "none.png: 404",
      "critical button-name", "a spoilt page is wider than 360",
    ]) holds(`${fault} is among\n${seen}`, seen.includes(fault));
  });
  await check("whoever has not signed in is led to where one does, and back", visitor, async (page) => {
    await page.goto("/console/organisations");
    same("the path", "/console/sign-in", new URL(page.url()).pathname);
    await page.getByLabel("Account", { exact: true }).fill("default");
    await page.getByLabel("User", { exact: true }).fill("admin");
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Sign in" }).first().click();
    await page.getByRole("heading", { name: "Organizations", level: 1 }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await done(page, "You have signed out.");
    await visitor.go("/console/organisations");
    same("the path", "/console/sign-in", new URL(page.url()).pathname);
  });
  await check("a wrong password signs nobody in, whatever it is", visitor, async (page) => {
    for (const wrong of ["not the password", ...HOSTILE]) {
      await page.goto("/console/sign-in");
      for (const label of ["Account", "User"]) await page.getByLabel(label, { exact: true }).fill(wrong);
      await page.getByLabel("Password", { exact: true }).fill(wrong);
      await visitor.allowing([401], async () => {
        await page.getByRole("button", { name: "Sign in" }).first().click();
        await page.getByRole("alert").filter({ hasText: "That did not match." }).waitFor();
      });
      same("what was typed", wrong.replace(/[\r\n]/g, "").replace("\0", "\uFFFD"), await page.getByLabel("User", { exact: true }).inputValue());
      same("the password", "", await page.getByLabel("Password", { exact: true }).inputValue());
    }
  });
  await check("where one signs in looks well", visitor, () => look(visitor, "/console/sign-in"));
  await check("a user signs in with an access key alone, and by keyboard alone", visitor, async (page) => {
    await signInWithKey(page, shown("reader", "-key"));
    await page.getByRole("button", { name: "Sign out" }).click();
    await done(page, "You have signed out.");
    await page.goto("/console/sign-in");
    await page.getByLabel("Account", { exact: true }).focus();
    for (const text of ["default", "reader", shown("reader").password]) {
      await page.keyboard.type(text);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    same("what the first link leads to", "main", await page.evaluate(() => document.activeElement.id));
  });
  await visitor.context.close();
}

// ---- the administrator

async function administrator(visitor) {
  await check("an administrator makes an organization", visitor, async (page) => {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Organizations" }).click();
    const dialog = await visitor.open("Create organization");
    await dialog.getByLabel("Name").fill("team");
    await dialog.getByRole("button", { name: "Create organization" }).click();
    await done(page, "The organization was created.");
    await page.getByRole("heading", { name: "team", level: 1 }).waitFor();
  });
  await check("a name that is none or taken is refused, and can be mended", visitor, async (page) => {
    await visitor.go("/console/organisations");
    for (const [name, status] of [["Not A Name", 400], ["team", 409]]) {
      const dialog = await visitor.open("Create organization");
      await dialog.getByLabel("Name").fill(name);
      await visitor.allowing([status], async () => {
        await dialog.getByRole("button", { name: "Create organization" }).click();
        await page.getByRole("alert").waitFor();
      });
      await page.getByRole("button", { name: "Create organization", exact: true }).click();
      same("what was typed", name, await page.getByLabel("Name").inputValue());
      await page.keyboard.press("Escape");
    }
  });
  await check("users are made", visitor, async (page) => {
    await visitor.go("/console/users");
    for (const [name, role] of [["manager", "Member"], ["passing", "Administrator"]]) {
      const dialog = await visitor.open("Create user");
      await dialog.getByLabel("Name").fill(name);
      await dialog.getByLabel("Password").fill(PASSWORD);
      await dialog.getByLabel("Role").selectOption(role);
      await dialog.getByRole("button", { name: "Create user" }).click();
      await done(page, "The user was created.");
    }
    await row(page, "passing").getByRole("combobox", { name: "Role of passing" }).selectOption("Member");
    await row(page, "passing").getByRole("button", { name: "Save" }).first().click();
    await done(page, "The user was changed.");
    const dialog = await visitor.open("Set password", row(page, "passing"));
    await dialog.getByLabel("Password").fill(`${PASSWORD} again`);
    await dialog.getByRole("button", { name: "Save" }).click();
    await done(page, "The user was changed.");
    await remove(visitor, "Delete user", row(page, "passing"));
    await done(page, "The user was deleted.");
    same("rows of who was deleted", 0, await row(page, "passing").count());
  });
  await check("an operator makes an account and sees its users", visitor, async (page) => {
    await visitor.go("/console/accounts");
    const dialog = await visitor.open("Create account");
    await dialog.getByLabel("Name").fill("third");
    await dialog.getByRole("button", { name: "Create account" }).click();
    await done(page, "The account was created.");
    await page.getByRole("navigation", { name: "Where you are" }).getByRole("link", { name: "Accounts" }).click();
    await page.getByRole("link", { name: "other" }).click();
    await row(page, "foreign").waitFor();
  });
  await check("permissions are given, changed and taken", visitor, async (page) => {
    await visitor.go("/console/organisations/team");
    for (const [name, right] of [["reader", "Read"], ["writer", "Read"], ["manager", "Manage"]]) {
      const dialog = await visitor.open("Add permission");
      await dialog.getByLabel("User").fill(name);
      await dialog.getByLabel("Permission").selectOption(right);
      await dialog.getByRole("button", { name: "Add permission" }).click();
      await done(page, "The permission was added.");
    }
    await page.getByRole("combobox", { name: "Permission of writer" }).selectOption("Edit");
    await page.getByRole("button", { name: "Change the permission of writer" }).click();
    await done(page, "The permission was changed.");
    same("what the writer may", "3", await page.getByRole("combobox", { name: "Permission of writer" }).inputValue());
    await remove(visitor, "Remove permission", row(page, "reader"));
    await done(page, "The permission was removed.");
    const dialog = await visitor.open("Add permission");
    await dialog.getByLabel("User").fill("reader");
    await dialog.getByRole("button", { name: "Add permission" }).click();
    await done(page, "The permission was added.");
    await row(page, "reader").waitFor();
  });
  await check("an access key is shown once, is a file, and signs in until it is deleted", visitor, async (page) => {
    await visitor.go("/console/credentials");
    const dialog = await visitor.open("Create access key");
    await dialog.getByLabel("Description").fill("for the walk");
    await dialog.getByRole("button", { name: "Create access key" }).click();
    await page.getByRole("heading", { name: "Your new access key" }).waitFor();
    await visitor.inspect("a new access key");
    const id = await page.locator("#made-key").textContent();
    const secret = await page.locator("#made-secret").textContent();
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download credentials.csv" }).click();
    const file = await download;
    same("the file's name", "credentials.csv", file.suggestedFilename());
    const [head, line] = readFileSync(await file.path(), "utf8").split("\r\n");
    same("its columns", "User Name,Access Key Id,Secret Access Key", head);
    same("its line", `"admin",${id},${secret}`, line);
    await visitor.go("/console/credentials");
    holds("the secret is shown once", !(await page.content()).includes(secret));
    const other = await Visitor.enter(page.context().browser(), origin);
    await signInWithKey(other.page, { access_key_id: id, secret_access_key: secret });
    await remove(visitor, "Delete access key", row(page, id));
    await done(page, "The access key was deleted.");
    await other.page.goto("/console");
    same("where the key's session is now", "/console/sign-in", new URL(other.page.url()).pathname);
    visitor.faults.push(...other.faults);
    await other.context.close();
  });
  await check("login commands are there to copy", visitor, async (page) => {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await visitor.go("/console");
    const copied = async (within) => {
      await within.getByRole("button", { name: "Copy" }).first().click();
      await within.getByRole("button", { name: "Copied" }).first().waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    await page.getByRole("button", { name: "Generate login command" }).click();
    await page.getByText("Copy it now").waitFor();
    await visitor.inspect("a login command");
    const login = await copied(page.getByRole("region", { name: "Sign in with a client" }));
    holds(`this is a login command: ${login}`, login.startsWith("docker login -u local@") && !login.includes("\n"));
    await visitor.go("/console");
    holds("it is shown once", !(await page.content()).includes(login.split(" ")[5]));
    const push = await copied(await visitor.open("Upload with a client"));
    holds(`this names the image: ${push}`, push.startsWith("docker tag "));
  });
}

async function audits(visitor) {
  await check("the trail tells of what was done, and can be asked", visitor, async (page) => {
    await visitor.go("/console/audit");
    await page.getByLabel("Trace name").selectOption("createUserNamespaceAuth");
    await page.getByLabel("Rating").selectOption("Normal");
    await page.getByRole("button", { name: "Search" }).click();
    const rows = page.getByRole("table").getByRole("row").filter({ hasText: "createUserNamespaceAuth" });
    await rows.first().waitFor();
    const names = await page.getByRole("table").getByRole("rowheader").locator("summary").allTextContents();
    same("the names", ["createUserNamespaceAuth"], [...new Set(names)]);
    await rows.first().getByText("createUserNamespaceAuth").click();
    await rows.first().getByText("Source IP address").waitFor();
    await visitor.inspect("a trace that is unfolded");
    await rows.first().getByRole("link", { name: "Whole event" }).click();
    const event = JSON.parse(await page.locator("#event").textContent());
    same("where it was done", "ConsoleAction", event.trace_type);
  });
  await check("what was refused is in the trail", visitor, async (page) => {
    await visitor.go("/console/audit?rating=warning&name=createUserNamespace");
    await page.getByRole("table").getByRole("rowheader").first().waitFor();
  });
  await check("a period that is none is refused", visitor, async (page) => {
    await visitor.go("/console/audit?period=between&from=2026-02-02T00:00&until=2026-01-01T00:00", 400);
    await page.getByRole("alert").filter({ hasText: "The period is none" }).waitFor();
  });
}

// ---- what nobody would type

const HOSTILE = [
  "<script>alert(1)</script>",
  "\"><img src=/console/hostile onerror=alert(1)>",
  "\u202Etxt.exe\u2066\u200F\u0000\r\n'`${7*7}{{7*7}}",
  "ä".repeat(5_000) + "x".repeat(5_000),
];

/** Fills every field of every form of the page with the text and sends it; the fields that choose as well. */
async function hostile(visitor, path) {
  const { page } = visitor;
  await visitor.go(path);
  const forms = await page.evaluate(() => [...document.forms].map(({ action }) => new URL(action).pathname));
  const seen = new Set();
  for (const [index, action] of forms.entries()) {
    if (seen.has(action) || action.endsWith("/sign-out")) continue;
    seen.add(action);
    for (const text of HOSTILE) {
      const loaded = page.waitForEvent("load");
      await visitor.allowing([400, 403, 404, 409, 413], async () => {
        await page.evaluate(([index, text]) => {
          const form = document.forms[index];
          const fields = new FormData(form);
          for (const name of [...fields.keys()]) {
            if (!["form_token", "word"].includes(name)) fields.set(name, text);
          }
          // None of them is right: what these would remove stays.
          const other = document.createElement("form");
          Object.assign(other, { method: form.method, action: form.action });
          for (const [name, value] of fields) {
            other.append(Object.assign(document.createElement("textarea"), { name, value }));
          }
          document.body.append(other);
          other.submit();
        }, [index, text]);
        await loaded;
      });
      const scripts = await page.locator("script:not([src]), img, [onerror]").count();
      if (scripts) throw new Error(`${action} makes markup of ${text.slice(0, 40)}`);
      await visitor.go(path);
    }
  }
}

// ---- every page

/** The page in every look. */
async function look(visitor, path) {
  const { page } = visitor;
  for (const [at, { language, ...appearance }] of LOOKS.entries()) {
    if (language !== LOOKS[at - 1]?.language) {
      await visitor.go(`${path}${path.includes("?") ? "&" : "?"}lang=${language}`);
      same("the language", language, (await page.locator("html").getAttribute("lang")).slice(0, 2));
      await page.locator("details:not([open]) > summary").evaluateAll((all) => all.forEach((one) => one.click()));
    }
    await visitor.appear(appearance, `${path} in ${language}`);
  }
}

/** What one page is to another like it: the part of its address that names no single trace and no place in a list. */
function kind(address) {
  const { pathname, searchParams } = new URL(address, origin);
  for (const name of ["lang", "done", "after", "before", "from", "next"]) searchParams.delete(name);
  searchParams.sort();
  const path = pathname.replace(/\/$/, "").replace(/\/audit\/[^/]+$/, "/audit/:trace");
  return searchParams.size ? `${path}?${searchParams}` : path;
}

/** Follows every link from the overview on, and does this on each kind of page once. Says which there were. */
async function crawl(visitor, visit) {
  const seen = new Map([["/console", "/console"]]);
  for (const [, address] of seen) {
    await visit(address);
    for (const found of await visitor.addresses()) {
      const at = kind(found);
      if (at.startsWith("/console") && !at.includes("/assets/") && !seen.has(at)) seen.set(at, found.split("#")[0]);
    }
    if (seen.size > 150) throw new Error(`there is no end of pages: ${[...seen.keys()].slice(-5)}`);
  }
  return [...seen.keys()];
}

/** What everybody has. */
const PAGES = ["/console", "/console/organisations", "/console/audit", "/console/credentials"];

function reaches(pages, wanted) {
  const missing = wanted.filter((page) => !pages.includes(page));
  if (missing.length) throw new Error(`no link leads to ${missing}; the pages are ${pages}`);
}

async function everything(visitor) {
  const pages = [];
  await check("an administrator reaches every page", visitor, async () => {
    pages.push(...await crawl(visitor, (address) => visitor.go(address)));
    reaches(pages, [
      ...PAGES, "/console/audit/:trace", "/console/organisations/team", "/console/users", "/console/accounts",
      "/console/users/other",
    ]);
  });
  for (const page of pages) {
    const path = page === "/console/audit/:trace" ? await oneTrace(visitor) : page;
    await check(`${page} looks well in each language, scheme and size`, visitor, () => look(visitor, path));
  }
  await check("pages that are none look well", visitor, async () => {
    for (const path of ["/console/nowhere", "/console/organisations/nowhere", "/console/%3Cscript%3E", "/console/users/a/b"]) {
      await visitor.go(path, 404);
      for (const { language: _, ...appearance } of LOOKS) await visitor.appear(appearance, path);
    }
  });
}

async function oneTrace(visitor) {
  await visitor.go("/console/audit");
  return (await visitor.addresses()).find((address) => kind(address) === "/console/audit/:trace");
}

// ---- who may what

const RIGHTS = [
  { user: "reader", right: "Read", manages: false },
  { user: "writer", right: "Edit", manages: false },
  { user: "manager", right: "Manage", manages: true },
];

/** The names of the buttons on the page, those in closed dialogs aside. */
async function buttons(page) {
  const names = await page.getByRole("main").getByRole("button").allInnerTexts();
  return new Set(names.map((name) => name.trim()));
}

async function withRight(browser, at, { user, right, manages }) {
  const visitor = await Visitor.enter(browser, origin);
  const password = user === "manager" ? PASSWORD : shown(user).password;
  const { language, ...appearance } = LOOKS[at % LOOKS.length];
  await check(`${user}: every page there is for them is well`, visitor, async (page) => {
    await signIn(page, "default", user, password);
    await visitor.go(`/console?lang=${language}`);
    const pages = await crawl(visitor, async (address) => {
      await visitor.go(address);
      await visitor.appear(appearance, address);
    });
    reaches(pages, [...PAGES, "/console/organisations/team"]);
    const beyond = pages.filter((address) => /^\/console\/(users|accounts)/.test(address));
    same("pages of administrators", [], beyond);
    await visitor.go("/console?lang=en");
  });
  await check(`${user}: an organization offers what ${right} allows`, visitor, async (page) => {
    await visitor.go("/console/organisations");
    await row(page, "team").getByText(right, { exact: true }).waitFor();
    holds("only administrators make organizations", !(await buttons(page)).has("Create organization"));
    await visitor.go("/console/organisations/team");
    const offered = await buttons(page);
    for (const button of ["Delete organization", "Add permission", "Save", "Remove permission"]) {
      same(button, manages, offered.has(button));
    }
  });
  await check(`${user}: what no button offers is refused`, visitor, async (page) => {
    for (const path of ["/console/users", "/console/accounts", "/console/users/other"]) {
      const response = await visitor.allowing([403, 404], () => page.goto(path));
      holds(`${path} is refused with ${response.status()}`, [403, 404].includes(response.status()));
      await visitor.inspect(`${path}, refused`);
    }
    await visitor.go("/console");
    const refused = [
      ["/console/organisations", { name: `of-${user}` }],
      ["/console/users/default", { name: "mallory", role: "administrator", password: PASSWORD }],
      ["/console/users/default/role", { user, role: "administrator" }],
      ["/console/accounts", { name: "mallory" }],
    ];
    if (!manages) {
      const { id } = shown("writer");
      refused.push(
        ["/console/organisations/team/delete", { word: "DELETE" }],
        ["/console/organisations/team/grants", { user: id, level: "7" }],
        ["/console/organisations/team/grants/change", { user: id, level: "7" }],
        ["/console/organisations/team/grants/remove", { user: id, word: "DELETE" }],
      );
    }
    for (const [path, fields] of refused) {
      const status = await visitor.send(path, fields);
      holds(`${path} is refused with ${status}`, [403, 404].includes(status));
      await page.getByRole("alert").or(page.getByRole("heading", { level: 1 })).first().waitFor();
      await visitor.go("/console");
    }
  });
  await visitor.context.close();
}

// ---- without a script

async function withoutScript(browser) {
  const visitor = await Visitor.enter(browser, origin, { javaScriptEnabled: false });
  await check("without a script every page can be read", visitor, async (page) => {
    await signIn(page, "default", "admin", shown("admin").password);
    const pages = await crawl(visitor, async (address) => {
      await visitor.go(address);
      holds(`${address} has a heading`, await page.getByRole("heading", { level: 1 }).count());
      same("what works with a script alone", 0, await page.locator(".enhanced:visible").count());
    });
    reaches(pages, PAGES);
  });
  await check("without a script an organization is made and deleted", visitor, async (page) => {
    await visitor.go("/console/organisations");
    await page.getByRole("button", { name: "Create organization" }).click();
    const dialog = page.getByRole("dialog", { name: "Create organization" });
    await dialog.getByLabel("Name").fill("plain");
    await dialog.getByRole("button", { name: "Create organization" }).click();
    await done(page, "The organization was created.");
    await page.getByRole("button", { name: "Delete organization" }).click();
    const removal = page.getByRole("dialog", { name: "Delete organization" });
    await removal.getByLabel("Type DELETE to confirm").fill("DELETE");
    await removal.getByRole("button", { name: "Delete organization" }).click();
    await done(page, "The organization was deleted.");
    await page.getByRole("button", { name: "Sign out" }).click();
    await done(page, "You have signed out.");
  });
  await visitor.context.close();
}

// ---- the end

async function leaves(visitor) {
  await check("an organization goes with the typed word", visitor, async (page) => {
    await visitor.go("/console/organisations/team?lang=en");
    await remove(visitor, "Delete organization");
    await done(page, "The organization was deleted.");
  });
  await check("whoever signs out is out", visitor, async (page) => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await done(page, "You have signed out.");
    for (const address of PAGES) {
      await visitor.go(address);
      same(`where ${address} leads`, "/console/sign-in", new URL(page.url()).pathname);
    }
  });
}

// ---- pictures for the documentation

async function take(visitor, name, path) {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await visitor.go(path);
  await visitor.page.screenshot({ path: join(pictures, `${name}.png`) });
}

const browser = await launch();
await strangers(browser);
const admin = await Visitor.enter(browser, origin);
await check("an administrator signs in with a password", admin, (page) => {
  return signIn(page, "default", "admin", shown("admin").password);
});
await administrator(admin);
await audits(admin);
await take(admin, "overview", "/console");
await check("what nobody would type stays text in every field", admin, async () => {
  for (const path of ["", "/organisations", "/organisations/team", "/credentials", "/users", "/accounts", "/audit"]) {
    await hostile(admin, `/console${path}`);
  }
});
// What only looks, side by side.
await Promise.all([
  everything(admin),
  (async () => {
    for (const [at, person] of RIGHTS.entries()) await withRight(browser, at, person);
    await withoutScript(browser);
  })(),
]);
await leaves(admin);
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
