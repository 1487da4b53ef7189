import assert from 'node:assert/strict';
import { modelfile, ollamaTemplate } from '../../../node/export/ollama.ts';

const CHATML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

const tokens = { bos: '', eos: '<|im_end|>' };

describe('Ollama template', () => {
  it('says what ChatML says, turn by turn', () => {
    assert.equal(
      ollamaTemplate(CHATML, tokens),
      '{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}' +
        '{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ end }}' +
        '<|im_start|>assistant\n{{ .Response }}<|im_end|>\n',
    );
  });

  it('leaves the first token to Ollama, which puts it there itself', () => {
    const template = `{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}`;
    assert.equal(
      ollamaTemplate(template, { bos: '<s>', eos: '</s>' }),
      '{{ if .System }}[system] {{ .System }}{{ end }}{{ if .Prompt }}[user] {{ .Prompt }}{{ end }}' +
        '[assistant] {{ .Response }}</s>',
    );
  });

  it('has no system part where the template refuses one or adds its own', () => {
    const refusing = `{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}!{% endfor %}`;
    assert.equal(ollamaTemplate(refusing, tokens), '{{ if .Prompt }}{{ .Prompt }}!{{ end }}{{ .Response }}!');
  });

  it('is left out where the template does more than put words around messages', () => {
    const trimmed = `{% for m in messages %}{{ m.content | upper }}{% endfor %}`;
    const twice = `{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}`;
    for (const template of [trimmed, twice, '{% if', '{{ raise_exception("x") }}']) {
      assert.equal(ollamaTemplate(template, tokens), null);
    }
    const written = modelfile({ base: 'smollm2', adapter: './a.gguf', template: twice, specialTokens: tokens });
    assert.equal(written, 'FROM smollm2\nADAPTER ./a.gguf\nPARAMETER stop "<|im_end|>"\n');
  });
});
