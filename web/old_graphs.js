// Saved graphs of other packs hold the values of a node as a list, whose order changed with the versions of those packs. This
// brings each list into the one order that our hidden nodes have, before the graph is built. It looks at no other nodes.
import { app } from "../../scripts/app.js";

const CATEGORY = "AnimateDiff/other packs";
const BOOLEAN = "boolean";

// [text, max_frames, print_output, pre_text, app_text, start_frame, end_frame, pw_a, ...]; newer files have neither print_output nor
// end_frame.
function withPrintOutput(values) {
  if (typeof values[2] !== "string") return values;
  const [text, frames, before, after, start, ...weights] = values;
  return [text, frames, false, before, after, start ?? 0, 0, ...weights];
}

// A seed stood before the last switch until 2025.
function withSeed(values) {
  return typeof values[4] === BOOLEAN ? [...values.slice(0, 4), 0, ...values.slice(4)] : values;
}

// Texts of a widget that is gone stood where a switch is now.
function withoutTextIn(index, standard) {
  return (values) => values.map((value, i) => (i === index && typeof value === "string" ? standard : value));
}

const ORDERS = {
  BatchPromptSchedule: withPrintOutput,
  BatchPromptScheduleLatentInput: withPrintOutput,
  ADE_AnimateDiffSamplingSettings: withSeed,
  ADE_AnimateDiffLoaderWithContext: withoutTextIn(3, true),
};

function definitionOf(type) {
  const definition = LiteGraph.registered_node_types[type]?.nodeData;
  return definition?.category === CATEGORY ? definition : undefined;
}

// The names of a node's fields, in the order of its list of values.
function fieldsOf(definition) {
  const inputs = { ...definition.input?.required, ...definition.input?.optional };
  const order = [...(definition.input_order?.required ?? []), ...(definition.input_order?.optional ?? [])];
  const kinds = ["INT", "FLOAT", "BOOLEAN", "STRING", "COMBO"];
  return order.filter((name) => kinds.includes(inputs[name]?.[0]) || Array.isArray(inputs[name]?.[0]));
}

function standardOf(definition, name) {
  const spec = definition.input?.optional?.[name] ?? definition.input?.required?.[name];
  return spec?.[1]?.default;
}

function normalised(node, definition) {
  let values = node.widgets_values;
  if (!values) return values;
  if (!Array.isArray(values)) {
    values = fieldsOf(definition).map((name) => values[name] ?? standardOf(definition, name));
  }
  return ORDERS[node.type]?.(values) ?? values;
}

function* nodesOf(graph) {
  yield* graph.nodes ?? [];
  for (const inner of graph.definitions?.subgraphs ?? []) yield* nodesOf(inner);
  for (const group of Object.values(graph.extra?.groupNodes ?? {})) yield* group.nodes ?? [];
}

app.registerExtension({
  name: "AnimateDiffNative.OldGraphs",
  beforeConfigureGraph(graph) {
    for (const node of nodesOf(graph)) {
      const definition = definitionOf(node.type);
      if (definition) node.widgets_values = normalised(node, definition);
    }
  },
});
