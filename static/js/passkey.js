// Passkeys: a form with data-passkey asks the browser for one, puts the answer into its field, and goes off as any other form.
(() => {
  "use strict";
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const known = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const made = async ({ publicKey }) => {
    const found = await navigator.credentials.create({ publicKey: {
      ...publicKey,
      challenge: bytes(publicKey.challenge),
      user: { ...publicKey.user, id: bytes(publicKey.user.id) },
      excludeCredentials: known(publicKey.excludeCredentials),
    } });
    const { response } = found;
    return { ...common(found), response: {
      attestationObject: text(response.attestationObject),
      clientDataJSON: text(response.clientDataJSON),
      transports: response.getTransports ? response.getTransports() : [],
    } };
  };

  const shown = async ({ publicKey }) => {
    const found = await navigator.credentials.get({ publicKey: {
      ...publicKey,
      challenge: bytes(publicKey.challenge),
      allowCredentials: known(publicKey.allowCredentials),
    } });
    const { response } = found;
    return { ...common(found), response: {
      authenticatorData: text(response.authenticatorData),
      clientDataJSON: text(response.clientDataJSON),
      signature: text(response.signature),
      userHandle: response.userHandle ? text(response.userHandle) : null,
    } };
  };

  const common = (found) => ({
    id: found.id,
    rawId: text(found.rawId),
    type: found.type,
    authenticatorAttachment: found.authenticatorAttachment,
    clientExtensionResults: found.getClientExtensionResults(),
  });

  const optionsOf = async (form) => {
    if (form.dataset.options) return JSON.parse(form.dataset.options);
    const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`The console answered ${answer.status}.`);
    return (await answer.json()).request_options;
  };

  const say = (form, words) => {
    const place = form.querySelector("[data-passkey-problem]");
    place.textContent = words;
    place.hidden = !words;
  };

  const WORDS = {
    NotAllowedError: "It was cancelled, or took too long. Try again.",
    InvalidStateError: "This device has a passkey for you already.",
    SecurityError: "Passkeys work at the console's own address only, not at a number.",
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-passkey]");
    if (!form) return;
    event.preventDefault();
    say(form, "");
    if (!window.PublicKeyCredential) return say(form, "This browser knows no passkeys, or the connection is not encrypted.");
    try {
      const work = form.dataset.passkey === "make" ? made : shown;
      form.elements.credential.value = JSON.stringify(await work(await optionsOf(form)));
    } catch (problem) {
      return say(form, WORDS[problem.name] || `That did not work: ${problem.message}`);
    }
    form.submit();
  });
})();
