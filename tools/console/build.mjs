// Builds the console's CSS and copies the scripts it stands on into the package. `make console-assets` runs it.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "../../src/trebuchet/console/static");
const modules = join(here, "node_modules");

const tailwind = join(modules, "@tailwindcss/cli/dist/index.mjs");
execFileSync(process.execPath, [tailwind, "-i", "console.css", "-o", join(out, "console.css"), "--minify"], {
  cwd: here,
  stdio: ["ignore", "ignore", "pipe"],
});
copyFileSync(join(modules, "uplot/dist/uPlot.min.css"), join(out, "uplot.css"));

// A map that is not shipped would be asked for by every open inspector.
const scripts = { "htmx.js": "htmx.org/dist/htmx.min.js", "uplot.js": "uplot/dist/uPlot.iife.min.js" };
for (const [name, from] of Object.entries(scripts)) {
  const text = readFileSync(join(modules, from), "utf8");
  writeFileSync(join(out, name), text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n"));
}

// What is shipped is named with its licence.
const licences = ["htmx.org", "uplot", "daisyui", "tailwindcss"].map((name) => {
  const { version, license } = JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8"));
  const text = readFileSync(join(modules, name, "LICENSE"), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync(join(out, "LICENSES.txt"), licences.join("\n----\n\n"));
