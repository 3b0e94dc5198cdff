// The reference page: Swagger UI over /openapi.json, which signs what is tried and shows a curl of every call.
"use strict";

const signer = document.getElementById("signer");
const signing = document.getElementById("signing");
// where the server is, whatever path a proxy puts before it
const base = new URL(".", location.href).href.replace(/\/$/, "");
// the address in the samples of /openapi.json
const SAMPLE_BASE = "http://127.0.0.1:8080";

function said() {
  const { appKey, secret } = signer.elements;
  if (!globalThis.crypto?.subtle) {
    return "Browsers sign on https and on localhost only: open this page there, or take the curl.";
  }
  return appKey.value && secret.value ? "Signing." : "";
}

async function signature(secret, nonce, timestamp) {
  const bytes = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(secret + nonce + timestamp));
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// [method, pattern of the path] of the operations that take a signature
function signedOperations(spec) {
  const found = [];
  for (const [path, operations] of Object.entries(spec.paths)) {
    const pattern = new RegExp("^" + path.split(/\{\w+\}/).map(escaped).join("[^/]+") + "$");
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.security.some((way) => "Signature" in way)) {
        found.push([method.toUpperCase(), pattern]);
      }
    }
  }
  return found;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function interceptor(spec) {
  const operations = signedOperations(spec);
  return async (request) => {
    const url = new URL(request.url, location.href);
    const path = url.href.slice(base.length).split(/[?#]/)[0];
    const takesSignature = operations.some(([method, pattern]) => method === request.method && pattern.test(path));
    const appKey = signer.elements.appKey.value.trim();
    const secret = signer.elements.secret.value;
    // whoever authorized with a token wants to be that user
    if (!takesSignature || !appKey || !secret || request.headers.Authorization || !globalThis.crypto?.subtle) {
      return request;
    }
    const nonce = crypto.randomUUID();
    const timestamp = String(Date.now());
    Object.assign(request.headers, {
      "App-Key": appKey,
      Nonce: nonce,
      Timestamp: timestamp,
      Signature: await signature(secret, nonce, timestamp),
    });
    return request;
  };
}

// under the parameters of every operation: its curl
function withCurl(system) {
  const { createElement, Fragment } = system.React;
  const shown = (Parameters) => (props) => {
    const source = props.operation?.getIn(["x-codeSamples", 0, "source"]);
    if (!source) {
      return createElement(Parameters, props);
    }
    const Code = system.getComponent("HighlightCode", true);
    return createElement(
      Fragment,
      null,
      createElement(Parameters, props),
      createElement(
        "div",
        { className: "curl-to-copy" },
        createElement("h4", null, "As a curl"),
        createElement(Code, { language: "bash", canCopy: true }, source.replace(SAMPLE_BASE, base)),
      ),
    );
  };
  return { wrapComponents: { parameters: shown } };
}

async function start() {
  const answer = await fetch("openapi.json");
  if (!answer.ok) {
    throw new Error(`openapi.json was answered with ${answer.status}`);
  }
  const spec = await answer.json();
  // relative to this page, not to the root of the host
  spec.servers = [{ url: base }];
  globalThis.SwaggerUIBundle({
    spec,
    dom_id: "#reference",
    deepLinking: true,
    docExpansion: "list",
    filter: true,
    tryItOutEnabled: true,
    persistAuthorization: false,
    validatorUrl: null,
    plugins: [withCurl],
    requestInterceptor: interceptor(spec),
  });
}

signer.addEventListener("submit", (event) => event.preventDefault());
signer.addEventListener("input", () => { signing.textContent = said(); });
signing.textContent = said();
start().catch((error) => {
  const main = document.getElementById("reference");
  main.className = "failed";
  main.textContent = `The reference could not be made: ${error.message}. Reload the page.`;
});
