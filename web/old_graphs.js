// Saved graphs of other packs hold the values of a node as a list, whose order changed with the versions of those packs. This
// brings each list into the one order that our hidden nodes have, before the graph is built. It looks at no other nodes.
import { app } from "../../scripts/app.js";

const CATEGORY = "AnimateDiff/other packs";
const BOOLEAN = "boolean";

// A seed stood before the last switch until 2025.
function withSeed(values) {
  return typeof values[4] === BOOLEAN ? [...values.slice(0, 4), 0, ...values.slice(4)] : values;
}

// Texts of a widget that is gone stood where a switch is now.
function withoutTextIn(index, standard) {
  return (values) => values.map((value, i) => (i === index && typeof value === "string" ? standard : value));
}

// FizzNodes: the fields of earlier versions, where they are not the first ones of a row. A list is known by its length and by where
// its only switch is, print_output. "_" is a value that had no effect. What is missing gets its default.
const WEIGHTS = "pw_a pw_b pw_c pw_d";
const AROUND = "pre_text app_text";
const LARGE = "width height crop_w crop_h target_width target_height text_g text_l";
const AROUND_LARGE = "pre_text_G app_text_G pre_text_L app_text_L";

const LAYOUTS = {
  BatchPromptSchedule: [
    `text max_frames ${AROUND} ${WEIGHTS}`,
    `text max_frames _ ${AROUND} ${WEIGHTS}`,
    `text max_frames print_output ${AROUND} ${WEIGHTS}`,
    `text max_frames print_output ${AROUND} start_frame ${WEIGHTS}`,
    "text max_frames print_output _",
    "text max_frames print_output start_frame end_frame",
  ],
  BatchPromptScheduleLatentInput: [
    `text ${AROUND} ${WEIGHTS}`,
    `text print_output ${AROUND} ${WEIGHTS}`,
    `text print_output ${AROUND} start_frame ${WEIGHTS}`,
    "text _",
    "text print_output _",
    "text print_output start_frame end_frame",
  ],
  PromptSchedule: [`text max_frames current_frame ${AROUND} ${WEIGHTS}`, "text max_frames print_output"],
  PromptScheduleNodeFlowEnd: [`max_frames current_frame ${AROUND} ${WEIGHTS}`],
  StringSchedule: [`text max_frames current_frame ${AROUND} ${WEIGHTS}`],
  BatchStringSchedule: [`text max_frames ${AROUND} ${WEIGHTS}`],
  ValueSchedule: ["text max_frames print_output"],
  PromptScheduleEncodeSDXL: [`${LARGE} max_frames current_frame ${AROUND_LARGE} ${WEIGHTS}`],
  BatchPromptScheduleEncodeSDXL: [
    `${LARGE} max_frames ${AROUND_LARGE} ${WEIGHTS}`,
    `${LARGE} max_frames print_output start_frame end_frame`,
  ],
  BatchPromptScheduleSDXLLatentInput: [
    `${LARGE} ${AROUND_LARGE} ${WEIGHTS}`,
    `${LARGE} print_output start_frame end_frame`,
  ],
};

function inOrder(values, definition, layouts) {
  const isSwitch = values.findIndex((value) => typeof value === BOOLEAN);
  const names = layouts
    .map((layout) => layout.split(" "))
    .find((names) => names.length === values.length && names.indexOf("print_output") === isSwitch);
  if (!names) return values;
  const known = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  return fieldsOf(definition).map((name) => known[name] ?? standardOf(definition, name));
}

const ORDERS = {
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
  const isField = ([kind, spec]) => (kinds.includes(kind) || Array.isArray(kind)) && !spec?.forceInput;
  return order.filter((name) => isField(inputs[name]));
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
  if (LAYOUTS[node.type]) return inOrder(values, definition, LAYOUTS[node.type]);
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
