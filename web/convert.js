// A menu entry that replaces the nodes of other packs in the open graph by nodes of this pack. The server rewrites the graph; what it
// says of each node is shown. Undo brings the old graph back.
import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const ROUTE = "/animatediff_native/convert";
const COMMAND = "AnimateDiffNative.ReplaceNodes";
const LABEL = "AnimateDiff: Replace nodes of other packs";

let known = new Set(); // ids of nodes that can be replaced

function* nodesOf(graph) {
  yield* graph.nodes ?? graph._nodes ?? [];
  for (const inner of graph.subgraphs?.values?.() ?? []) yield* inner.nodes ?? [];
}

function hasOldNodes() {
  return [...nodesOf(app.rootGraph ?? app.graph)].some((node) => known.has(node.type));
}

function tell(severity, summary, detail) {
  app.extensionManager.toast.add({ severity, summary, detail });
}

function show(report) {
  const parts = [
    ["Replaced", report.done],
    ["Please note", report.notes],
    ["Left as they are", report.left],
  ];
  const dialog = document.createElement("dialog");
  dialog.className = "animatediff-native-report";
  Object.assign(dialog.style, {
    maxWidth: "min(90ch, 90vw)",
    maxHeight: "80vh",
    overflow: "auto",
    color: "var(--input-text)",
    background: "var(--comfy-menu-bg)",
    border: "1px solid var(--border-color)",
    borderRadius: "8px",
    padding: "16px 24px",
    margin: "auto",
  });
  for (const [head, lines] of parts) {
    if (!lines.length) continue;
    const list = document.createElement("ul");
    for (const line of lines) list.append(Object.assign(document.createElement("li"), { textContent: line }));
    list.style.listStyle = "disc inside";
    dialog.append(Object.assign(document.createElement("h3"), { textContent: head }), list);
  }
  const close = Object.assign(document.createElement("button"), { textContent: "Close" });
  close.className = "comfy-btn";
  close.style.marginTop = "12px";
  close.onclick = () => dialog.close();
  dialog.append(close);
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}

// Loading a graph forgets what was done before; the old graph goes back where undo finds it.
async function load(graph) {
  const workflow = app.extensionManager?.workflow?.activeWorkflow ?? null;
  const tracker = workflow?.changeTracker;
  const before = tracker?.activeState;
  const initial = tracker?.initialState;
  await app.loadGraphData(graph, true, false, workflow);
  if (!before) return;
  tracker.initialState = initial;
  tracker.undoQueue.push(before);
  tracker.redoQueue.length = 0;
  tracker.updateModified();
}

async function replaceNodes() {
  const graph = (app.rootGraph ?? app.graph).serialize();
  let report;
  try {
    const answer = await api.fetchApi(ROUTE, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ graph }),
    });
    report = await answer.json();
    if (!answer.ok) throw new Error(report.error);
  } catch (error) {
    tell("error", "The nodes could not be replaced", error.message);
    return;
  }
  if (report.done.length) await load(report.graph);
  if (report.done.length + report.left.length) show(report);
  else tell("info", "Nothing to replace", "There are no nodes of other AnimateDiff packs in this graph.");
}

app.registerExtension({
  name: "AnimateDiffNative.Convert",
  commands: [{ id: COMMAND, label: LABEL, icon: "pi pi-arrow-right-arrow-left", function: replaceNodes }],
  menuCommands: [{ path: ["Edit"], commands: [COMMAND] }],
  async setup() {
    const answer = await api.fetchApi(ROUTE);
    if (answer.ok) known = new Set((await answer.json()).nodes);
  },
  getCanvasMenuItems() {
    return hasOldNodes() ? [null, { content: LABEL, callback: replaceNodes }] : [];
  },
  getNodeMenuItems(node) {
    return known.has(node.type) ? [null, { content: LABEL, callback: replaceNodes }] : [];
  },
});
