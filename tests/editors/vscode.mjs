// Drives a real VS Code through its screen: the server part runs here, the window in a headless Chromium.
//
//   TVIX_EDITORS='{"code": DIR, "extension": FILE.vsix, "server": FILE, "chromium": FILE, "cases": FILE,
//                  "roots": {NAME: DIR}, "work": DIR, "artifacts": DIR}' node vscode.mjs
//
// Prints a line "PASS …" or "FAIL …" for every case and leaves a screenshot of each in the artifacts folder.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const options = JSON.parse(process.env.TVIX_EDITORS);
const { chromium } = createRequire(path.join(options.code, "package.json"))("playwright-core");

// In milliseconds.
const FIRST_ANSWER = 90_000; // the server starts, and loads the package set
const DEADLINE = 20_000; // of anything later
const RETRY = 3_000; // after which the same question is asked again

const vscode = path.join(options.code, "node_modules/code-server/lib/vscode");
const folder = (name) => {
  const made = path.join(options.work, name);
  fs.mkdirSync(made, { recursive: true });
  return made;
};

// ---- the server part of VS Code

const userData = folder("user-data");
const common = [
  path.join(vscode, "out/server-main.js"),
  "--accept-server-license-terms",
  ...["--server-data-dir", folder("server-data")],
  ...["--user-data-dir", userData],
  ...["--extensions-dir", folder("extensions")],
];
const environment = { ...process.env, EXTENSIONS_GALLERY: '{"serviceUrl":""}' };

function writeSettings(where, settings) {
  fs.mkdirSync(path.join(userData, where), { recursive: true });
  fs.writeFileSync(path.join(userData, where, "settings.json"), JSON.stringify(settings));
}

writeSettings("Machine", { "tvix-lsp.server.path": options.server });
writeSettings("User", {
  "security.workspace.trust.enabled": false,
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "telemetry.telemetryLevel": "off",
  "extensions.autoUpdate": false,
  "extensions.ignoreRecommendations": true,
  "update.mode": "none",
  "chat.disableAIFeatures": true,
  "git.enabled": false,
  "files.autoSave": "off", // the browser's default would write the edits into the workspace
  "files.watcherExclude": { "**": true },
  "editor.hover.delay": 100,
  "editor.minimap.enabled": false,
  "editor.wordBasedSuggestions": "off", // names of the buffer prove nothing
});

/** Starts it on a free port, which is the answer. */
async function startServer() {
  const log = fs.createWriteStream(path.join(options.work, "server.log"));
  const server = spawn(
    process.execPath,
    [...common, "--host", "127.0.0.1", "--port", "0", "--without-connection-token", "--telemetry-level", "off", "--disable-workspace-trust"],
    { env: environment, detached: true, stdio: ["ignore", "pipe", "pipe"] },
  );
  // With its extension host and the language server, also when this script is interrupted.
  process.once("exit", () => process.kill(-server.pid));
  server.stderr.pipe(log);
  return await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("the server of VS Code did not start listening")), DEADLINE);
    server.once("exit", (code) => reject(new Error(`the server of VS Code ended with ${code}, see ${log.path}`)));
    readline.createInterface({ input: server.stdout }).on("line", (line) => {
      log.write(`${line}\n`);
      const listening = /Extension host agent listening on (\d+)/.exec(line);
      if (listening) {
        clearTimeout(late);
        resolve(Number(listening[1]));
      }
    });
  });
}

// ---- places in texts

/** The 1-based line and column of the `|` in `at`, which without it must occur once in `text`. */
function place(text, at) {
  const anchor = at.replace("|", "");
  const start = text.indexOf(anchor);
  if (start < 0 || text.indexOf(anchor, start + 1) >= 0) throw new Error(`"${anchor}" should occur once in the file`);
  const before = text.slice(0, start + at.indexOf("|")).split("\n");
  return { line: before.length, column: before.at(-1).length + 1 };
}

/** A text that is in the buffer could be shown by an editor without any server. */
function mustBeNews(text, shown) {
  if (text.includes(shown)) throw new Error(`"${shown}" is in the file itself and would prove nothing`);
}

// ---- the window

class Window {
  constructor(page) {
    this.page = page;
    this.keys = page.keyboard;
    this.patience = FIRST_ANSWER;
  }

  /** Asks with `ask` and waits for `answered`, again and again until the deadline; tells what was seen last. */
  async until(what, ask, answered) {
    const deadline = Date.now() + this.patience;
    let seen = "";
    while (Date.now() < deadline) {
      await ask();
      const retry = Math.min(Date.now() + RETRY, deadline);
      do {
        const [done, now] = await answered();
        if (done) return;
        if (now) seen = now;
        await this.page.evaluate(() => new Promise(requestAnimationFrame));
      } while (Date.now() < retry);
    }
    throw new Error(`${what} did not appear in ${this.patience / 1000} s; last seen: ${JSON.stringify(seen.slice(0, 400))}`);
  }

  async pick(key, text) {
    const input = this.page.locator(".quick-input-widget input");
    await this.keys.press(key);
    await input.waitFor({ state: "visible" });
    await input.fill(text);
    await this.page.locator(".quick-input-widget .quick-input-list .monaco-list-row.focused").waitFor();
    await this.keys.press("Enter");
    await input.waitFor({ state: "hidden" });
  }

  /** The file that has the focus, and the 1-based line of its cursor. */
  async where() {
    return await this.page.evaluate(() => {
      const uri = document.querySelector(".editor-group-container.active .monaco-editor")?.getAttribute("data-uri") ?? "";
      const status = document.getElementById("status.editor.selection")?.textContent ?? "";
      return {
        file: uri && decodeURIComponent(new URL(uri).pathname),
        line: Number(/Ln (\d+)/.exec(status)?.[1]),
        column: Number(/Col (\d+)/.exec(status)?.[1]),
      };
    });
  }

  async showsFile(file) {
    await this.until(
      `the editor of ${file}`,
      async () => {},
      async () => {
        const { file: shown } = await this.where();
        return [shown === file, shown];
      },
    );
  }

  /** Back from a definition in another file. */
  async backTo(file) {
    if ((await this.where()).file === file) return;
    await this.pick("F1", ">Go Back");
    await this.showsFile(file);
  }

  async goTo({ line, column }) {
    await this.pick("Control+G", `:${line}:${column}`);
    await this.until(
      `the cursor at ${line}:${column}`,
      async () => {},
      async () => {
        const now = await this.where();
        return [now.line === line && now.column === column, JSON.stringify(now)];
      },
    );
  }

  async replaceRestOfLine(at, typed) {
    await this.goTo(at);
    await this.keys.press("Shift+End");
    await this.keys.press("Delete");
    await this.keys.type(typed);
  }

  async revert() {
    await this.keys.press("Escape");
    await this.pick("F1", ">File: Revert File");
    await this.page.locator(".tab.active.dirty").waitFor({ state: "detached" });
  }

  async hover(at, shows) {
    await this.goTo(at);
    const cursor = await this.page.locator(".editor-group-container.active .cursors-layer .cursor").first().boundingBox();
    const hover = this.page.locator(".monaco-hover:not(.hidden):not(.fade-out)");
    const clean = (text) => text.replace(/\u00a0/g, " ");
    await this.until(
      `a hover with "${shows}"`,
      async () => {
        // Away until the hover is gone: over the same word VS Code shows what it has and asks nothing.
        await this.page.mouse.move(5, 5);
        await this.keys.press("Escape");
        await hover.first().waitFor({ state: "hidden" });
        await this.page.mouse.move(cursor.x + 2, cursor.y + cursor.height / 2, { steps: 3 });
      },
      async () => {
        const texts = (await hover.allTextContents()).map(clean);
        return [texts.some((text) => text.includes(shows)), texts.join("\n")];
      },
    );
    await this.opaque(".monaco-hover:not(.hidden)");
  }

  async completion(narrow, shows) {
    const rows = this.page.locator(".suggest-widget.visible .monaco-list-row .label-name");
    const ask = async () => {
      if (await rows.count()) return;
      await this.keys.press("Escape");
      await this.keys.press("Control+Space");
    };
    // The bare select first: it is the broken text that has to be answered.
    await this.until("a list of completions", ask, async () => [(await rows.count()) > 0, ""]);
    if (narrow) await this.keys.type(narrow);
    await this.until(`a completion "${shows}"`, ask, async () => {
      const names = await rows.allTextContents();
      return [names.includes(shows), names.join(" ")];
    });
    await this.opaque(".suggest-widget.visible");
  }

  async action(at, title) {
    const rows = this.page.locator(".action-widget .monaco-list-row.action");
    await this.until(
      `an action "${title}"`,
      async () => {
        await this.keys.press("Escape");
        await this.goTo(at);
        await this.keys.press("Control+.");
      },
      async () => {
        const titles = (await rows.allTextContents()).map((text) => text.replace(/\u00a0/g, " ").trim());
        return [titles.includes(title), titles.join(", ")];
      },
    );
    await rows.filter({ hasText: title }).first().click();
  }

  async definition(at, file, line) {
    await this.goTo(at);
    await this.until(
      `the definition in ${file}${line ? ` at "${line}"` : ""}`,
      () => this.keys.press("F12"),
      async () => {
        const now = await this.where();
        if (now.file !== file) return [false, JSON.stringify(now)];
        const text = fs.readFileSync(file, "utf8").split("\n")[now.line - 1];
        return [!line || (text?.includes(line) && now.line !== at.line), `line ${now.line}: ${text}`];
      },
    );
  }

  /** Waits until a pop-up has faded in, so that the screenshot has it. */
  async opaque(selector) {
    await this.page.waitForFunction((popup) => {
      const shown = [...document.querySelectorAll(popup)];
      return shown.length > 0 && shown.every((one) => getComputedStyle(one).opacity === "1");
    }, selector);
  }
}

/** Runs a case of the file which now has `text` on the disk. */
async function runCase(window, root, text, check) {
  const asked = check.hover ?? check.completion;
  if (asked) mustBeNews(text, asked.shows);
  if (check.edit) await window.replaceRestOfLine(place(text, check.edit.at), check.edit.type);
  // Places are looked up in the text on the disk: an edit stays in its line.
  if (check.action) await window.action(place(text, check.action.at), check.action.title);
  if (check.hover) await window.hover(place(text, check.hover.at), check.hover.shows);
  if (check.completion) await window.completion(check.completion.narrow, check.completion.shows);
  if (check.definition) {
    await window.definition(place(text, check.definition.at), path.join(root, check.definition.file), check.definition.line);
  }
}

let failed = 0;
execFileSync(process.execPath, [...common, "--install-extension", options.extension], { env: environment, stdio: ["ignore", "ignore", "inherit"] });
const port = await startServer();
const context = await chromium.launchPersistentContext(path.join(options.work, "chromium"), {
  executablePath: options.chromium,
  headless: true,
  viewport: { width: 1280, height: 800 },
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  for (const { root: name, file, cases } of JSON.parse(fs.readFileSync(options.cases, "utf8"))) {
    const root = options.roots[name];
    if (!root) continue;
    const page = await context.newPage();
    page.setDefaultTimeout(DEADLINE);
    const window = new Window(page);
    const document = path.join(root, file);
    const payload = JSON.stringify([["openFile", `vscode-remote://127.0.0.1:${port}${document}`]]);
    await page.goto(`http://127.0.0.1:${port}/?${new URLSearchParams({ folder: root, payload })}`);
    await window.showsFile(document);
    for (const check of cases) {
      const title = `vscode, ${name}: ${check.name}`;
      const shot = path.join(options.artifacts, `vscode-${name}-${check.name.replace(/[^a-z0-9]+/gi, "-")}.png`);
      const started = Date.now();
      let problem;
      try {
        const text = fs.readFileSync(document, "utf8");
        await runCase(window, root, text, check);
        if (fs.readFileSync(document, "utf8") !== text) throw new Error(`${document} was written to`);
      } catch (error) {
        problem = error;
      }
      await page.screenshot({ path: shot });
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      if (problem) failed += 1;
      console.log(problem ? `FAIL ${title} (${seconds} s): ${problem.message}\n     screenshot: ${shot}` : `PASS ${title} (${seconds} s)`);
      window.patience = DEADLINE;
      if (check.edit) await window.revert();
      if (check.definition) await window.backTo(document);
    }
    await page.close();
  }
} finally {
  await context.close();
}
process.exit(failed ? 1 : 0);
