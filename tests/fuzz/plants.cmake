# Over-reads that the targets must find (fuzz_finds in CMakeLists.txt): in each parser the place
# where a length is checked or a byte is taken.

# What reads by the bounded reader fails there.
set(READER common/reader.c [[len > r->left]] [[len > r->left + 1]])
foreach(name IN ITEMS claim hello kept nonce_judge nonce_report order report wire_data work)
    fuzz_finds(${name} fuzz_${name} ${READER})
endforeach()
set(FRAME common/frame.c [[in.len < *need]] [[in.len + 1 < *need]] ${READER})
fuzz_finds(frame fuzz_frame ${FRAME})
fuzz_finds(session fuzz_session ${FRAME})

fuzz_finds(addr fuzz_addr common/addr.c [[i < text.len]] [[i <= text.len]])
fuzz_finds(args fuzz_args common/args.c [[strcspn(word, "=") : 2]] [[strcspn(word, "=") : 3]])
fuzz_finds(attempt_name fuzz_attempt_name peer/store/attempt_name.c
    [[end == '\0' ? at : at + 1]] [[end == '\0' ? at : at + 2]])
fuzz_finds(content fuzz_content peer/store/content.c
    [[record.len != content_record_bytes(c)]] [[record.len > content_record_bytes(c)]])
fuzz_finds(control_body fuzz_control_body peer/control/control_body.c
    [[json_string_length(member)]] [[json_string_length(member) + 8]])
fuzz_finds(endpoint fuzz_endpoint tools/endpoint.c
    [[memcpy(e.host, host, len)]] [[memcpy(e.host, host, len + 2)]])
fuzz_finds(hex fuzz_hex common/hex.c [[i < len]] [[i <= len]])
fuzz_finds(hire fuzz_work peer/wire/hire.c
    [[reader_copy(&r, d.b, sizeof d.b)]] [[memcpy(d.b, in.ptr, sizeof d.b)]])
fuzz_finds(key fuzz_key_sys common/key_sys.c
    [[BIO_new_mem_buf(text, (int)len)]] [[BIO_new_mem_buf(text, (int)len + 1)]])
fuzz_finds(ledger fuzz_ledger_sys peer/master/ledger_file_sys.c
    [[b.ptr == NULL || b.len != len]] [[b.ptr == NULL]])
fuzz_finds(mandelbrot fuzz_mandelbrot jobs/mandelbrot/mandelbrot_program.c
    [[output.len != pixels * MANDELBROT_PIXEL_BYTES]]
    [[(output.len + 1) / MANDELBROT_PIXEL_BYTES != pixels]])
fuzz_finds(manifest fuzz_manifest common/manifest_lines.c
    [['\n', p->rest.len)]] [['\n', p->rest.len + 1)]])
fuzz_finds(nonce_args fuzz_nonce_args jobs/nonce/nonce_args.c [[i < digits]] [[i <= digits]])
fuzz_finds(progress fuzz_progress tools/progress.c
    [[text != NULL ? text]] [[text != NULL ? text + strlen(text) + 1]])
fuzz_finds(progress_line fuzz_stdout jobs/program.c
    [[digits < in->len]] [[digits <= in->len]])
fuzz_finds(route fuzz_route peer/control/control_route.c [[path += len]] [[path += len + 1]])
fuzz_finds(settings fuzz_settings tools/settings.c
    [[memcpy(s.memory, text.ptr, text.len)]] [[memcpy(s.memory, text.ptr, text.len + 1)]])
fuzz_finds(squeeze fuzz_squeeze peer/swarm/squeeze.c
    [[(uInt)encoded.len]] [[(uInt)encoded.len + 1]])
fuzz_finds(sse fuzz_sse tools/sse.c [[&s->pending, bytes]]
    [[&s->pending, (struct pn_bytes){bytes.ptr, bytes.len + 1}]])
fuzz_finds(stdout fuzz_stdout peer/sandbox/lines.c
    [[memcpy(l->part + l->len, bytes.ptr, kept)]]
    [[memcpy(l->part + l->len, bytes.ptr, kept + 1)]])
fuzz_finds(tls fuzz_tls_sys common/tls_sys.c
    [[t->input = reader_of(ciphertext)]]
    [[t->input = reader_of((struct pn_bytes){ciphertext.ptr, ciphertext.len + 1})]])
fuzz_finds(tracker_client fuzz_tracker_client peer/rendezvous/tracker_client.c
    [[i < bytes.len]] [[i <= bytes.len]])
fuzz_finds(trackline fuzz_trackline common/trackline.c
    [[' ', words->len)]] [[' ', words->len + 1)]])
