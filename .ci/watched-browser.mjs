// A browser that is watched: whatever no page of the console may do is written down as a fault when it happens.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.BROWSER_MODULES}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
const PATIENCE = 20_000;

// Every language with every scheme and width would be twice as many; these have each pair of them.
export const LOOKS = [
  { language: "zh", scheme: "light", size: PHONE },
  { language: "zh", scheme: "dark", size: WIDE },
  { language: "en", scheme: "dark", size: PHONE },
  { language: "en", scheme: "light", size: WIDE },
];

export function launch() {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}

/** Somebody with a browser of one's own. */
export class Visitor {
  faults = [];
  /** The statuses beyond success that pages may have now. */
  allowed = new Set();

  static async enter(browser, origin, options = {}) {
    const context = await browser.newContext({
      baseURL: origin, viewport: WIDE, colorScheme: "light", reducedMotion: "reduce", locale: "en-GB", ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.effectiveDirective} of ${event.blockedURI} ${event.sample}`);
      });
    });
    return new Visitor(context, await context.newPage(), origin);
  }

  constructor(context, page, origin) {
    Object.assign(this, { context, page, origin });
    const fault = (text) => this.faults.push(`${text} (at ${page.url().slice(0, 200)})`);
    page.on("console", (message) => {
      // What could not be loaded is judged where it is answered.
      const isAnswer = message.text().startsWith("Failed to load resource:");
      if (message.type() === "error" && !isAnswer) fault(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => fault(`page error: ${error.message}`));
    page.on("dialog", (dialog) => {
      fault(`a dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    page.on("request", (request) => {
      const { protocol, origin: to } = new URL(request.url());
      if (!["data:", "blob:"].includes(protocol) && to !== this.origin) fault(`request to ${request.url()}`);
    });
    page.on("requestfailed", (request) => {
      // A download, or a page that was left.
      if (request.failure().errorText !== "net::ERR_ABORTED") {
        fault(`${request.url()}: ${request.failure().errorText}`);
      }
    });
    page.on("response", (response) => {
      const [status, request] = [response.status(), response.request()];
      if (status >= 400 && !(request.isNavigationRequest() && this.allowed.has(status))) {
        fault(`${request.method()} ${response.url().slice(0, 200)}: ${status}`);
      }
    });
  }

  /** Does what may be refused with one of these statuses. */
  async allowing(statuses, work) {
    this.allowed = new Set(statuses);
    try {
      return await work();
    } finally {
      this.allowed = new Set();
    }
  }

  /** Waits until these are among its faults, or patience ends. */
  async sees(faults) {
    const ends = performance.now() + PATIENCE;
    const isSeen = (fault) => this.faults.some((seen) => seen.includes(fault));
    while (!faults.every(isSeen) && performance.now() < ends) await this.page.waitForTimeout(50);
  }

  /** Opens a page, which has to answer so. */
  async go(path, status = 200) {
    const response = await this.allowing([status], () => this.page.goto(path));
    if (response.status() !== status) throw new Error(`${path}: ${response.status()} instead of ${status}`);
  }

  /** Sends a form that no page has, with the session's token; says what it is answered. */
  async send(path, fields) {
    const token = await this.page.locator("input[name=form_token]").first().inputValue();
    const answered = this.page.waitForResponse((response) => {
      const request = response.request();
      return request.method() === "POST" && request.isNavigationRequest();
    });
    const loaded = this.page.waitForEvent("load");
    await this.allowing([400, 403, 404, 405, 409], async () => {
      await this.page.evaluate(([action, fields]) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "post", action });
        for (const [name, value] of Object.entries(fields)) {
          form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
        }
        document.body.append(form);
        form.submit();
      }, [path, { form_token: token, ...fields }]);
      await loaded;
    });
    return (await answered).status();
  }

  /** Where the links of the page lead, downloads and other sites apart. */
  async addresses() {
    const links = await this.page.locator("a[href]:not([download])").evaluateAll((all) => all.map((link) => link.href));
    return links.filter((link) => link.startsWith(`${this.origin}/`)).map((link) => link.slice(this.origin.length));
  }

  /** Opens the dialog of the button, and looks at it. */
  async open(button, within = this.page) {
    await this.page.waitForLoadState();
    await within.getByRole("button", { name: button, exact: true }).click();
    const dialog = this.page.getByRole("dialog");
    await dialog.waitFor();
    await this.inspect(button);
    return dialog;
  }

  /** What axe finds on the page as it is. */
  async inspect(what) {
    if (!(await this.page.evaluate(() => "axe" in globalThis))) await this.page.evaluate(axe);
    const found = await this.page.evaluate(async () => {
      const { violations } = await globalThis.axe.run({ resultTypes: ["violations"] });
      return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map((violation) => {
        const [{ html, any, all, none }] = violation.nodes;
        const why = [...any, ...all, ...none].map(({ message }) => message).join("; ");
        const { impact, id, nodes } = violation;
        return `${impact} ${id} ×${nodes.length}: ${html.slice(0, 200)}: ${why.slice(0, 300)}`;
      });
    });
    this.faults.push(...found.map((text) => `axe on ${what}: ${text}`));
  }

  /** The page in other colours and another size; nothing of it may be beyond the screen. */
  async appear({ scheme, size }, what) {
    await this.page.emulateMedia({ colorScheme: scheme });
    await this.page.setViewportSize(size);
    await this.inspect(`${what} (${scheme}, ${size.width} wide)`);
    const beyond = await this.page.evaluate((width) => {
      if (document.documentElement.scrollWidth <= width) return null;
      const wide = [...document.body.querySelectorAll("*")].filter((element) => {
        const { right } = element.getBoundingClientRect();
        return right > width && !element.closest(".table, pre");
      });
      return `${document.documentElement.scrollWidth}: ${wide.slice(0, 3).map((it) => it.outerHTML.slice(0, 120))}`;
    }, size.width);
    if (beyond) this.faults.push(`${what} is wider than ${size.width}: ${beyond}`);
  }
}
