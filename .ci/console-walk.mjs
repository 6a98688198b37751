// People in front of the console: each line that is printed is one check. It fails as well when the browser has seen a
// fault.
//
// usage: node console-walk.mjs ORIGIN FOLDER [--screenshots DIR]    (the folder is that of `.ci/console`)

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { LOOKS, Visitor, launch } from "./watched-browser.mjs";

const [origin, folder, ...rest] = process.argv.slice(2);
const pictures = rest[0] === "--screenshots" ? rest[1] : null;
const shown = (user, what = "") => JSON.parse(readFileSync(join(folder, `console-${user}${what}.json`)));

/** The password of users that are made on the way. */
const PASSWORD = "what a walk begins with";
/** What nobody would type: markup, templates, and characters that turn the direction of others. */
const SPITEFUL =
  "\"><img src=/console/hostile onerror=alert(1)><script>alert(1)</script>" +
  "'`${7*7}{{7*7}}\u202Etxt.exe\u2066\u200F\0";
const HOSTILE = [SPITEFUL, SPITEFUL + "\r\n" + "ä".repeat(5_000) + "x".repeat(5_000)];

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

/** What the rows of the page are named. A click has waited for nothing but that the page is another one. */
async function namesOf(page) {
  await page.waitForLoadState();
  return page.getByRole("rowheader").allInnerTexts();
}

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
        Object.assign(document.createElement("img"), { src: "/nowhere.png" }),
        document.createElement("button"),
      );
      document.querySelector("h1").style.minWidth = "2000px";
      setTimeout(() => { throw new Error("thrown"); });
    });
    await visitor.appear(LOOKS[0], "a spoilt page");
    const faults = [
      "console: written", "page error: thrown", "policy: script-src", "request to http://127.0.0.1:1/", "nowhere.png: 4",
      "critical button-name", "a spoilt page is wider than 360",
    ];
    await visitor.sees(faults);
    const seen = visitor.faults.splice(0).join("\n");
    for (const fault of faults) holds(`${fault} is among\n${seen}`, seen.includes(fault));
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
      const repeated = await page.getByLabel("User", { exact: true }).inputValue();
      same("what was typed", wrong.slice(0, 60), repeated.slice(0, 60));
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
        await page.getByRole("dialog").getByRole("alert").waitFor();
      });
      await visitor.inspect("a name that was refused");
      same("what was typed", name, await page.getByRole("dialog").getByLabel("Name").inputValue());
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
    await row(page, "writer").getByRole("button", { name: "Save" }).click();
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
      // It says so for two seconds.
      await Promise.all([
        within.getByRole("button", { name: "Copied" }).first().waitFor(),
        within.getByRole("button", { name: "Copy" }).first().click(),
      ]);
      return page.evaluate(() => navigator.clipboard.readText());
    };
    await page.getByRole("button", { name: "Generate login command" }).click();
    await page.getByText("Copy it now").waitFor();
    await visitor.inspect("a login command");
    const login = await copied(page.getByRole("region", { name: "Sign in with a client" }));
    holds(`this is a login command: ${login}`, login.startsWith("docker login -u local@") && !login.includes("\n"));
    await visitor.go("/console");
    holds("it is shown once", !(await page.content()).includes(login.split(" ")[5]));
    const dialog = await visitor.open("Upload with a client");
    for (const line of ["docker login -u ", "docker tag ", "docker push "]) {
      await dialog.getByText(line).first().waitFor();
    }
    holds("a line is copied", (await copied(dialog)).startsWith("docker "));
  });
}

// ---- images

const archive = (name) => join(folder, name);

/** Pushes the small image as clients do. */
function push(name) {
  const [from, to] = [`docker-archive:${archive("app-v1.0.0.tar")}`, `docker://${new URL(origin).host}/${name}`];
  execFileSync("skopeo", ["copy", "--quiet", "--dest-tls-verify=false", "--dest-creds", process.env.LOGIN, from, to]);
}

/** Somebody on loopback who is told; `answers` are the next statuses. */
async function receiver() {
  const told = [];
  const answers = [];
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    told.push(JSON.parse(Buffer.concat(parts)));
    response.writeHead(answers.shift() ?? 204).end();
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { told, answers, server, url: `http://127.0.0.1:${server.address().port}/` };
}

/** Reloads the page until this is there. */
async function appears(page, locator) {
  const deadline = Date.now() + 20_000;
  while (!(await locator.count())) {
    if (Date.now() > deadline) throw new Error(`never there: ${locator}`);
    await page.waitForTimeout(200);
    await page.reload();
  }
}

async function images(visitor) {
  const app = "/console/images/team/app";
  await check("packages are uploaded, one after the other, and what is none is refused", visitor, async (page) => {
    await visitor.go("/console/images");
    await page.getByRole("link", { name: "Upload packages" }).click();
    await page.getByLabel("Organization").selectOption("team");
    await page.getByLabel("Packages").setInputFiles(["app-v1.0.0.tar", "notes.txt", "app-v2.0.0.tar.gz"].map(archive));
    await page.evaluate(() => {
      globalThis.moved = [];
      new MutationObserver((changes) => {
        for (const { target } of changes) globalThis.moved.push([target.ariaLabel, target.value, target.position]);
      }).observe(document.getElementById("uploads"), { subtree: true, attributeFilter: ["value"] });
    });
    await page.getByRole("button", { name: "Upload", exact: true }).click();
    await page.getByText("Uploaded", { exact: true }).nth(1).waitFor({ timeout: 60_000 });
    await visitor.inspect("the outcome of an upload");
    const moved = await page.evaluate(() => globalThis.moved);
    const of = (name) => moved.filter(([label]) => label === name).map(([, value]) => value);
    for (const name of ["app-v1.0.0.tar", "app-v2.0.0.tar.gz"]) {
      holds(`${name} has shown how far it had come: ${of(name)}`, Math.max(...of(name)) > 0);
    }
    const files = page.getByRole("listitem").filter({ has: page.getByRole("heading", { level: 3 }) });
    const outcomes = await files.allInnerTexts();
    same("the files", 3, outcomes.length);
    for (const [at, word] of ["Uploaded", "Invalid image format", "Uploaded"].entries()) {
      holds(`${outcomes[at]} says ${word}`, outcomes[at].includes(word));
    }
    await page.getByRole("link", { name: "team/app:v2.0.0" }).click();
    await page.getByRole("heading", { name: "app", level: 1 }).waitFor();
    for (const tag of ["v3.0.0", "v4.0.0"]) push(`team/app:${tag}`);
    push("team/web:v1");
  });
  await check("images are filtered and sorted", visitor, async (page) => {
    await visitor.go("/console/images");
    await page.getByLabel("Name", { exact: true }).fill("we");
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/[?&]name=we/);
    same("what is found", ["web"], await namesOf(page));
    await visitor.go("/console/images");
    await page.getByLabel("Sort by").selectOption("Name");
    await page.getByLabel("Direction").selectOption("Ascending");
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/[?&]direction=/);
    same("the names", ["app", "web"], await namesOf(page));
    await page.getByRole("searchbox", { name: "Filter" }).pressSequentially("ap");
    same("what is shown as one types", ["app"], await namesOf(page));
  });
  await take(visitor, "images", "/console/images");
  await take(visitor, "image", app);
  await check("a version says what it is, and is a file again", visitor, async (page) => {
    await visitor.go(app);
    await row(page, "v2.0.0").getByText("docker pull").waitFor();
    await row(page, "v2.0.0").getByRole("link", { name: "v2.0.0" }).click();
    await page.getByText("HOSTILE").first().waitFor();
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download as package" }).click();
    const file = await download;
    same("the file's name", "app_v2.0.0.tar", file.suggestedFilename());
    holds("it is all there", statSync(await file.path()).size > 20_000_000);
  });
  await check("an image is described", visitor, async (page) => {
    await visitor.go(app);
    await page.getByRole("link", { name: "Description" }).click();
    await page.getByLabel("Category").selectOption("Linux");
    await page.getByRole("textbox", { name: "Description" }).fill("What we serve.\nTwo lines.");
    await page.getByRole("button", { name: "Save" }).click();
    await done(page, "The attributes were saved.");
    await page.getByText("What we serve.").first().waitFor();
  });
  await check("permissions on one image are given, changed and taken", visitor, async (page) => {
    await visitor.go(`${app}/grants`);
    const dialog = await visitor.open("Add permission");
    await dialog.getByLabel("User").fill("reader");
    await dialog.getByLabel("Permission").selectOption("Edit");
    await dialog.getByRole("button", { name: "Add permission" }).click();
    await done(page, "The permission was added.");
    await row(page, "reader").getByRole("combobox").selectOption("Manage");
    await row(page, "reader").getByRole("button").first().click();
    await done(page, "The permission was changed.");
    await remove(visitor, "Remove permission", row(page, "reader"));
    await done(page, "The permission was removed.");
  });
  await check("an image is shared with a deadline", visitor, async (page) => {
    await visitor.go(`${app}/sharing`);
    const dialog = await visitor.open("Share");
    await dialog.getByLabel("Account").fill("other");
    await dialog.getByLabel("Last day").fill("2099-12-31");
    await dialog.getByLabel("Description").fill(SPITEFUL);
    await dialog.getByRole("button", { name: "Share", exact: true }).click();
    await done(page, "The image is shared.");
    await row(page, "other").getByText("2099-12-31").first().waitFor();
    await row(page, "other").getByText("<script>alert(1)</script>").first().waitFor();
    const change = await visitor.open("Change", row(page, "other"));
    await change.getByLabel("Last day").fill("2099-11-30");
    await change.getByRole("button", { name: "Save" }).click();
    await done(page, "The share was changed.");
    await row(page, "other").getByText("2099-11-30").first().waitFor();
  });
  const webhook = await receiver();
  await check("a trigger is added after a look at what it matches, and tells", visitor, async (page) => {
    await visitor.go(`${app}/triggers`);
    const dialog = await visitor.open("Add trigger");
    await dialog.getByLabel("Name", { exact: true }).fill("hook");
    await dialog.getByLabel("Kind of condition").selectOption("Pattern");
    await dialog.getByLabel("Condition", { exact: true }).pressSequentially("^v[34");
    await dialog.locator(".wrong").waitFor();
    await dialog.getByLabel("Condition", { exact: true }).pressSequentially("5]");
    await dialog.getByText("2 of 4 existing versions match.").waitFor();
    await visitor.inspect("what a trigger matches");
    const asked = page.waitForRequest(/triggers\/preview/);
    await dialog.getByLabel("Address").fill(webhook.url);
    const request = await asked;
    same("what a preview has in its address", "", new URL(request.url()).search);
    const body = new URLSearchParams(request.postData());
    same("what a preview asks with", ["fragment", "form_token", "kind", "condition"], [...body.keys()]);
    await dialog.getByLabel("Secret").fill("a secret of 16 bytes or more");
    await dialog.getByRole("button", { name: "Add trigger" }).click();
    await done(page, "The trigger was added.");
    // It is refused for good, and then taken.
    webhook.answers.push(410);
    push("team/app:v5.0.0");
    await page.getByRole("link", { name: /history.*hook/i }).click();
    await appears(page, row(page, "v5.0.0").getByText("Failed", { exact: true }));
    await visitor.inspect("the history of a trigger");
    await page.getByRole("button", { name: /^Try.*v5\.0\.0/ }).click();
    await done(page, "It will be tried again.");
    await appears(page, row(page, "v5.0.0").getByText("Success", { exact: true }));
    same("what it was told", ["v5.0.0", "v5.0.0"], webhook.told.map(({ data }) => data.tag));
    await page.getByRole("button", { name: "Disable: hook" }).click();
    await done(page, "The trigger is disabled.");
    await page.getByRole("button", { name: "Enable: hook" }).click();
    await done(page, "The trigger is enabled.");
  });
  webhook.server.close();
  await check("an aging rule is added after a look at what it removes", visitor, async (page) => {
    await visitor.go(`${app}/aging`);
    await page.getByLabel("Kind", { exact: true }).selectOption("By number");
    await page.getByLabel("Filtered tags").fill("v2.0.0");
    await page.getByLabel("Days, or versions").fill("2");
    const preview = page.locator("#preview");
    await page.getByLabel("Expression").fill("^v[5");
    await preview.getByText("The pattern is wrong").waitFor();
    // As long as a rule may be, and longer.
    const expression = `^${"\\.".repeat(255)}\n`;
    const answered = page.waitForResponse((response) => response.request().postData()?.length > 65_536);
    await page.getByLabel("Expression").fill(expression.repeat(99));
    same("what a long preview is answered", 200, (await answered).status());
    await preview.getByText("2 of 5 versions would go.").waitFor();
    await page.getByLabel("Expression").fill(expression.repeat(100));
    await preview.getByText("A rule has at most").waitFor();
    const elsewhere = { contentType: "text/html", body: "<main><p>Nobody is signed in.</p></main>" };
    await page.route(/aging\/preview/, (route) => route.fulfill(elsewhere), { times: 1 });
    await page.getByLabel("Expression").fill("^");
    await preview.getByText("Nobody is signed in.").waitFor();
    same("what stands there beside that", 1, await preview.locator("*").count());
    await page.getByLabel("Expression").fill("^nightly");
    await preview.getByText("2 of 5 versions would go.").waitFor();
    for (const [tag, outcome] of [["v1.0.0", "Goes"], ["v2.0.0", "Stays"], ["v3.0.0", "Goes"], ["v4.0.0", "Stays"]]) {
      await row(page, tag).getByText(outcome, { exact: true }).waitFor();
    }
    for (const appearance of LOOKS) await visitor.appear(appearance, "the preview of an aging rule");
    await picture(visitor, "aging", preview);
    await page.getByRole("button", { name: "Save" }).click();
    await done(page, "The rule was added and runs now.");
    await appears(page, row(page, "v3.0.0"));
    await row(page, "v1.0.0").waitFor();
    await visitor.go(app);
    same("what stays", ["v5.0.0", "v4.0.0", "v2.0.0"], await namesOf(page));
    await visitor.go(`${app}/aging`);
    await page.getByRole("link", { name: "Edit rule" }).click();
    await page.getByLabel("Days, or versions").fill("9");
    await page.getByRole("button", { name: "Save" }).click();
    await done(page, "The rule was changed and runs now.");
    await page.getByText("those beyond the newest 9 are removed").waitFor();
  });
  await check("versions are deleted with the typed word", visitor, async (page) => {
    await visitor.go(app);
    const marked = page.getByRole("button", { name: "Delete marked versions" });
    const word = page.locator("form").filter({ has: marked }).getByLabel("Type DELETE to confirm");
    await page.getByRole("checkbox", { name: "Mark v4.0.0" }).check();
    holds("nothing is deleted without the word", await marked.isDisabled());
    await word.fill("DELETE");
    await marked.click();
    await done(page, "The versions were deleted.");
    same("what stays", ["v5.0.0", "v2.0.0"], await namesOf(page));
  });
  await check("an organization that holds images is not deleted", visitor, async (page) => {
    await visitor.go("/console/organisations/team");
    await visitor.allowing([406], async () => {
      await remove(visitor, "Delete organization");
      await page.getByRole("alert").waitFor();
    });
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
    await page.getByText("Source IP address").first().waitFor();
    await visitor.inspect("a trace that is unfolded");
    await page.getByRole("link", { name: "Whole event" }).first().click();
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

/** Fills every field of every form of the page, hidden ones too, and sends it wherever its buttons do. */
async function hostile(visitor, path) {
  const { page } = visitor;
  await visitor.go(path);
  const targets = await page.evaluate(() => [...document.forms].flatMap((form, index) => {
    const buttons = [...form.querySelectorAll("button[formaction]")].map((button) => button.formAction);
    // A field may be called `action`.
    const own = new URL(form.getAttribute("action") ?? "", location).href;
    return [own, ...buttons].map((action) => ({ index, action, method: form.getAttribute("method") ?? "get" }));
  }));
  const seen = new Set();
  for (const { index, action, method } of targets) {
    if (seen.has(action) || action.endsWith("/sign-out")) continue;
    seen.add(action);
    for (const text of HOSTILE) {
      const loaded = page.waitForEvent("load");
      await visitor.allowing([400, 403, 404, 409, 413, 415], async () => {
        await page.evaluate(([index, action, text]) => {
          const { elements } = document.forms[index];
          const method = document.forms[index].getAttribute("method") ?? "get";
          const other = Object.assign(document.createElement("form"), { method, action });
          other.enctype = document.forms[index].getAttribute("enctype") ?? "";
          const fields = [...elements].filter(({ name, type }) => name && type !== "file" && name !== "form_token");
          // The word is right where something else says what would be removed, and is no such thing.
          const isOnly = fields.length === 1;
          const token = document.querySelector("input[name=form_token]").value;
          for (const [name, value] of [
            ...method === "post" ? [["form_token", token]] : [],
            ...fields.map(({ name }) => [name, name === "word" && !isOnly ? "DELETE" : text]),
          ]) other.append(Object.assign(document.createElement("textarea"), { name, value }));
          document.body.append(other);
          other.submit();
        }, [index, action, method === "get" ? text.slice(0, 400) : text]);
        await loaded;
      });
      const markup = await page.locator("script:not([src]), img, [onerror]").count();
      if (markup) throw new Error(`${action} makes markup of ${text.slice(0, 40)}`);
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
      // The first of those that unfold stand for the others.
      await page.locator("details:not([open])").evaluateAll((all) => {
        for (const one of all.slice(0, 4)) one.open = true;
      });
    }
    await visitor.appear(appearance, `${path} in ${language}`);
  }
}

/** What an address has in common with those of pages like it: no single trace or version, and no place in a list. */
function kind(address) {
  const { pathname, searchParams } = new URL(address, origin);
  for (const name of ["lang", "done", "after", "before", "from", "next", "manifest"]) searchParams.delete(name);
  searchParams.sort();
  const path = pathname.replace(/\/$/, "").replace(/(\/audit|\/versions)\/[^/]+$/, "$1/:one");
  return searchParams.size ? `${path}?${searchParams}` : path;
}

/** Follows every link from the overview on, and does this with each kind of page once. Gives an address of each. */
async function crawl(visitor, visit) {
  const seen = new Map([["/console", "/console"]]);
  for (const [, address] of seen) {
    await visit(address);
    for (const found of await visitor.addresses()) {
      const at = kind(found);
      if (/^\/console(?!\/assets)/.test(at) && !seen.has(at)) seen.set(at, found.split("#")[0]);
    }
    if (seen.size > 150) throw new Error(`there is no end of pages: ${[...seen.keys()].slice(-5)}`);
  }
  return seen;
}

const tabs = (...names) => names.map((name) => `/console/images/team/app${name}`);
/** What everybody has. */
const PAGES = [
  "/console", "/console/organisations", "/console/audit", "/console/credentials", "/console/images",
  "/console/images?list=shared",
];
/** What of an image everybody sees who may pull it, and then those with a permission. */
const PULLED = tabs("", "/versions/:one", "/attributes", "/guide");
const READ = [...PULLED, ...tabs("/grants", "/triggers", "/aging")];

function reaches(pages, wanted) {
  const missing = wanted.filter((page) => !pages.has(page));
  if (missing.length) throw new Error(`no link leads to ${missing}; the pages are ${[...pages.keys()]}`);
}

async function everything(visitor) {
  let pages = new Map();
  await check("an administrator reaches every page", visitor, async () => {
    pages = await crawl(visitor, (address) => visitor.go(address));
    reaches(pages, [
      ...PAGES, ...READ, ...tabs("/sharing", "/triggers?history=hook", "/aging?edit=yes"), "/console/upload",
      "/console/audit/:one", "/console/organisations/team", "/console/users", "/console/accounts",
      "/console/users/other",
    ]);
  });
  for (const [page, address] of pages) {
    await check(`${page} looks well in each language, scheme and size`, visitor, () => look(visitor, address));
  }
  await check("pages that are none look well", visitor, async () => {
    for (const path of ["/nowhere", "/organisations/nowhere", "/images/team/nowhere", "/%3Cscript%3E"]) {
      await visitor.go(`/console${path}`, 404);
      for (const appearance of LOOKS) await visitor.appear(appearance, path);
    }
  });
}

// ---- who may what

const RIGHTS = [
  { user: "reader", right: "Read", manages: false },
  { user: "writer", right: "Edit", manages: false },
  { user: "manager", right: "Manage", manages: true },
];

/** The names of the buttons on the page, those in closed dialogs aside. */
async function buttons(page) {
  await page.waitForLoadState();
  const names = await page.getByRole("main").getByRole("button").allInnerTexts();
  return new Set(names.map((name) => name.trim()));
}

/** Every page that links lead them to; each is seen in one look. */
async function seesAll(visitor, at) {
  const { language, ...appearance } = LOOKS[at % LOOKS.length];
  await visitor.go(`/console?lang=${language}`);
  const pages = await crawl(visitor, async (address) => {
    await visitor.go(address);
    await visitor.appear(appearance, address);
  });
  await visitor.go("/console?lang=en");
  return pages;
}

/** Everything here is refused. */
async function isRefused(visitor, pages, requests) {
  for (const path of pages) {
    const response = await visitor.allowing([403, 404], () => visitor.page.goto(path));
    holds(`${path} is refused with ${response.status()}`, [403, 404].includes(response.status()));
  }
  await visitor.inspect("a page that is refused");
  await visitor.go("/console");
  for (const [path, fields] of requests) {
    const status = await visitor.send(path, fields);
    holds(`${path} is refused with ${status}`, [403, 404].includes(status));
  }
}

const OF_MANAGERS = (user) => [
  ["/console/organisations/team/delete", { word: "DELETE" }],
  ["/console/organisations/team/grants", { user, level: "7" }],
  ["/console/organisations/team/grants/change", { user, level: "7" }],
  ["/console/organisations/team/grants/remove", { user, word: "DELETE" }],
  ["/console/images/team/app/delete", { word: "DELETE" }],
  ["/console/images/team/app/versions/delete", { word: "DELETE", tag: "v2.0.0" }],
  ["/console/images/team/app/grants", { user, level: "7" }],
  ["/console/images/team/app/sharing", { account: "third" }],
  ["/console/images/team/app/sharing/end", { account: "other", word: "DELETE" }],
  ["/console/images/team/app/aging", { kind: "count", number: "1" }],
];
const OF_EDITORS = [
  ["/console/images/team/app/attributes", { visibility: "public", category: "linux", description: "" }],
  ["/console/images/team/app/triggers", {
    name: "mine", kind: "all", action: "webhook", url: "http://127.0.0.1:1/", secret: "0123456789abcdef",
    enabled: "yes",
  }],
  ["/console/images/team/app/triggers/enable", { trigger: "hook", enabled: "no" }],
  ["/console/images/team/app/triggers/delete", { trigger: "hook", word: "DELETE" }],
];
const OF_ADMINISTRATORS = [
  ["/console/organisations", { name: "mallory" }],
  ["/console/users/default", { name: "mallory", role: "administrator", password: PASSWORD }],
  ["/console/users/default/role", { user: "reader", role: "administrator" }],
  ["/console/accounts", { name: "mallory" }],
];

async function withRight(browser, at, { user, right, manages }) {
  const visitor = await Visitor.enter(browser, origin);
  const edits = right !== "Read";
  await check(`${user}: every page there is for them is well`, visitor, async (page) => {
    await signIn(page, "default", user, user === "manager" ? PASSWORD : shown(user).password);
    const pages = await seesAll(visitor, at);
    reaches(pages, [...PAGES, ...READ, "/console/organisations/team"]);
    const beyond = [...pages.keys()].filter((address) => /^\/console\/(users|accounts)/.test(address));
    same("pages of administrators", [], beyond);
    same("the page that shares", manages, pages.has("/console/images/team/app/sharing"));
  });
  await check(`${user}: pages offer what “${right}” allows, and nothing else`, visitor, async (page) => {
    await visitor.go("/console/organisations");
    await row(page, "team").getByText(right, { exact: true }).waitFor();
    for (const [path, allowed, names] of [
      ["/console/organisations", false, ["Create organization"]],
      ["/console/organisations/team", manages, ["Delete organization", "Add permission", "Save", "Remove permission"]],
      ["/console/images/team/app", manages, ["Delete image", "Delete marked versions"]],
      ["/console/images/team/app/attributes", edits, ["Save"]],
      ["/console/images/team/app/grants", manages, ["Add permission"]],
      ["/console/images/team/app/triggers", edits, ["Add trigger", "Disable", "Delete trigger"]],
      ["/console/images/team/app/aging?edit=yes", manages, ["Save"]],
      ["/console/upload", edits, ["Upload"]],
    ]) {
      await visitor.go(path);
      const offered = await buttons(page);
      for (const name of names) same(`whether ${path} has “${name}”`, allowed, offered.has(name));
    }
  });
  await check(`${user}: what no button offers is refused`, visitor, () => isRefused(
    visitor,
    [
      "/console/users", "/console/accounts", "/console/users/other",
      ...manages ? [] : ["/console/images/team/app/sharing"],
    ],
    [...OF_ADMINISTRATORS, ...manages ? [] : OF_MANAGERS(shown("writer").id), ...edits ? [] : OF_EDITORS],
  ));
  await visitor.context.close();
}

async function withShare(browser) {
  const visitor = await Visitor.enter(browser, origin);
  await check("another account sees of a shared image what it may pull", visitor, async (page) => {
    await signIn(page, "other", "foreign", shown("foreign").password);
    const pages = await seesAll(visitor, 3);
    reaches(pages, [...PAGES, ...PULLED]);
    const beyond = [...pages.keys()].filter((address) => {
      return /\/(images|organisations)\/team/.test(address) && !PULLED.includes(address);
    });
    same("what else there is of the other account", [], beyond);
    await visitor.go("/console/images");
    same("images of their own", 0, await page.getByRole("rowheader").count());
    await page.getByRole("link", { name: "Shared with me" }).click();
    await row(page, "app").getByRole("link").click();
    await page.getByText(/docker pull \S+\/team\/app:v2\.0\.0/).waitFor();
    same("what may be done", ["Copy", "Search"], [...await buttons(page)].sort());
  });
  await check("another account is refused everything else", visitor, () => isRefused(
    visitor,
    [
      "/console/organisations/team", "/console/images/team/web", "/console/accounts", "/console/users/default",
      ...tabs("/grants", "/sharing", "/triggers", "/aging"),
    ],
    [...OF_MANAGERS(shown("writer").id), ...OF_EDITORS],
  ));
  return visitor;
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
  });
  await check("without a script a package is uploaded, and a rule looked at", visitor, async (page) => {
    await visitor.go("/console/upload");
    await page.getByLabel("Organization").selectOption("team");
    await page.getByText("Choose the image and version yourself").click();
    await page.getByLabel("Image", { exact: true }).fill("plain");
    await page.getByLabel("Version", { exact: true }).fill("v1");
    await page.getByLabel("Packages").setInputFiles(archive("app-v1.0.0.tar"));
    await page.getByRole("button", { name: "Upload", exact: true }).click();
    await page.getByRole("link", { name: "team/plain:v1" }).click();
    await page.getByRole("link", { name: "Aging" }).click();
    await page.getByLabel("Days, or versions").fill("3");
    await page.getByRole("button", { name: "Preview" }).click();
    await page.locator("#preview").getByText("0 of 1 versions would go.").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await done(page, "You have signed out.");
  });
  await visitor.context.close();
}

// ---- the end

async function leaves(visitor, foreign) {
  await check("a share ends with the typed word", visitor, async (page) => {
    await visitor.go("/console/images/team/app/sharing?lang=en");
    await remove(visitor, "End sharing", row(page, "other"));
    await done(page, "The image is no longer shared with this account.");
  });
  await check("a share that has ended is over at once", foreign, () => foreign.go("/console/images/team/app", 404));
  await check("rules, images and organizations go with the typed word", visitor, async (page) => {
    await visitor.go("/console/images/team/app/aging");
    await remove(visitor, "Delete rule");
    await done(page, "The rule was deleted.");
    await visitor.go("/console/images/team/app/triggers");
    await remove(visitor, "Delete trigger");
    await done(page, "The trigger was deleted.");
    for (const name of ["app", "web", "plain"]) {
      await visitor.go(`/console/images/team/${name}`);
      await remove(visitor, "Delete image");
      await done(page, "The image was deleted.");
    }
    await visitor.go("/console/organisations/team");
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
  await visitor.go(path);
  await picture(visitor, name);
}

/** The page as it is; scrolled so far that the part is seen. */
async function picture(visitor, name, part) {
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  const path = join(pictures, `${name}.png`);
  await part?.scrollIntoViewIfNeeded();
  await visitor.page.screenshot({ path });
  holds(`${path} is small`, statSync(path).size < 150_000);
}

const browser = await launch();
await strangers(browser);
const admin = await Visitor.enter(browser, origin);
await check("an administrator signs in with a password", admin, (page) => {
  return signIn(page, "default", "admin", shown("admin").password);
});
await administrator(admin);
await images(admin);
await audits(admin);
await take(admin, "overview", "/console");
await check("what nobody would type stays text in every field", admin, async () => {
  for (const path of [
    "", "/organisations", "/organisations/team", "/credentials", "/users", "/accounts", "/audit", "/images", "/upload",
  ]) {
    await hostile(admin, `/console${path}`);
  }
  for (const path of tabs("", "/attributes", "/grants", "/sharing", "/triggers?history=hook", "/aging?edit=yes")) {
    await hostile(admin, path);
  }
});
// What only looks, side by side.
const [, foreign] = await Promise.all([
  everything(admin),
  (async () => {
    for (const [at, person] of RIGHTS.entries()) await withRight(browser, at, person);
    await withoutScript(browser);
    return withShare(browser);
  })(),
]);
await leaves(admin, foreign);
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
