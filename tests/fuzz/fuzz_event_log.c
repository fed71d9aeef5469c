/* Reaches: agent.c, situation.c, context.c, pipeline.c, playbook.c over logs made of the input:
 * what must be true of every log is checked by tests/agents/any_log.c. */
#include "tests/agents/any_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_counts counts = {0};
    if (size == 0 || size > 2048)
        return 0;
    any_log((enum log_kind)(data[0] % LOG_KINDS),
            (struct dice){.bytes = data + 1, .left = size - 1}, &counts);
    return 0;
}
