/** Starts `tvix-lsp --stdio` and connects the editor to it; everything else is the server's work. */
import * as vscode from "vscode";
import { LanguageClient, TransportKind } from "vscode-languageclient/node";

const SECTION = "tvix-lsp";
const PATH_SETTING = "server.path";

let client: LanguageClient | undefined;

async function start(): Promise<void> {
  const command = vscode.workspace.getConfiguration(SECTION).get<string>(PATH_SETTING) || "tvix-lsp";
  // TransportKind.stdio adds the argument --stdio.
  const starting = new LanguageClient(
    SECTION,
    "Tvix Nix",
    { command, transport: TransportKind.stdio },
    // No scheme: a document that is not on disk yet counts like any other.
    { documentSelector: [{ language: "nix" }] },
  );
  client = starting;
  try {
    await starting.start();
  } catch {
    // The client has said why; this says what to do about it.
    if (client === starting) client = undefined;
    const settings = "Open Settings";
    const answer = await vscode.window.showErrorMessage(
      `No values for Nix files without the server: install tvix-lsp, or name its path in the setting ${SECTION}.${PATH_SETTING} (now "${command}").`,
      settings,
    );
    if (answer === settings) {
      await vscode.commands.executeCommand("workbench.action.openSettings", `${SECTION}.${PATH_SETTING}`);
    }
  }
}

async function stop(): Promise<void> {
  const stopping = client;
  client = undefined;
  await stopping?.dispose();
}

export function activate(context: vscode.ExtensionContext): void {
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (!change.affectsConfiguration(`${SECTION}.${PATH_SETTING}`)) return;
      await stop();
      await start();
    }),
  );
  // Not awaited: activation must not hang on a server that is slow or missing.
  void start();
}

export async function deactivate(): Promise<void> {
  await stop();
}
