#include "gateway/base/field.h"

#include <criterion/criterion.h>
#include <string.h>

enum colour { RED, GREEN };

struct wheel {
    const char *name;
    int64_t size;
    int line;
    const struct json *source;
};

struct lamp {
    const char *kind;
    int64_t watts;
};

struct car {
    const char *plate, *engine, *fuel, *socket;
    int64_t doors, idle_ms, trunk_bytes;
    double price;
    bool is_new;
    enum colour colour;
    const char **owners;
    size_t n_owners;
    const struct json *extra;
    struct lamp lamp;
    struct wheel *wheels, *spares;
    size_t n_wheels, n_spares;
};

static const char *const COLOURS[] = {"red", "green", NULL};
static const char *const ENGINES[] = {"petrol", "electric", "fusion", NULL};
static const char *const ENGINES_LATER[] = {"fusion", NULL};

static bool check_plate(const char *text, struct err *err)
{
    return *text == 'X' || fail(err, ERR_INVALID, "must begin with X");
}

static const struct field WHEEL[] = {
    F_NAME(struct wheel, name),
    F_LINE(struct wheel, line),
    F_SOURCE(struct wheel, source),
    F_INT(struct wheel, size, "size", 0, 10, 20, "15", "inches"),
};

static const struct field LAMP[] = {
    F_TEXT(struct lamp, kind, "kind", FIELD_REQUIRED, NULL, "what shines"),
    F_INT(struct lamp, watts, "watts", 0, 1, 100, "55", "how much"),
};

static const struct field CAR[] = {
    F_TEXT(struct car, plate, "plate", FIELD_REQUIRED, NULL, "the plate", .max = 8,
           .check = check_plate),
    F_CHOICE(struct car, engine, "engine", 0, ENGINES, "petrol", "what turns it",
             .choices_later = ENGINES_LATER),
    F_TEXT(struct car, fuel, "fuel", FIELD_REQUIRED, NULL, "for petrol", .when = "engine",
           .is = "petrol"),
    F_TEXT(struct car, socket, "socket", FIELD_REQUIRED | FIELD_NOT_YET, NULL, "for current",
           .when = "engine", .is = "electric"),
    F_INT(struct car, doors, "doors", 0, 2, 5, "4", "how many"),
    F_DURATION(struct car, idle_ms, "idle", 0, 1000, 60000, "10s", "how long it idles"),
    F_SIZE(struct car, trunk_bytes, "trunk", 0, 1, 1024 * 1024, "64KiB", "how much fits"),
    F_NUMBER(struct car, price, "price", 0, 0, 100, "1.5", "what it costs"),
    F_BOOL(struct car, is_new, "new", 0, "true", "nobody had it"),
    F_ENUM(struct car, colour, enum colour, "colour", 0, COLOURS, "green", "its paint"),
    F_TEXTS(struct car, owners, n_owners, "owners", 0, "who had it", .max = 6),
    F_JSON(struct car, extra, "extra", 0, "anything"),
    F_SECTION(struct car, lamp, struct lamp, "lamp", 0, LAMP, "in front"),
    F_LIST(struct car, wheels, n_wheels, struct wheel, "wheels", 0, WHEEL, "in order"),
    F_MAP(struct car, spares, n_spares, struct wheel, "spares", FIELD_IDENT, WHEEL, "by name"),
};

struct heard {
    struct arena *arena;
    char *all;
};

static void hear(void *ctx, enum problem_kind kind, const struct json *at, const char *key,
                 const char *sentence)
{
    static const char *const MARKS[] = {"", "~", "?"};
    struct heard *heard = ctx;
    (void)at;
    heard->all = arena_printf(heard->arena, "%s%s%s: %s\n", heard->all, MARKS[kind], key, sentence);
}

/* "@NAME" stands for a value from elsewhere; "@" alone for one that is not there. */
static enum value_origin origin(void *ctx, const struct json *at, const char **why)
{
    const char *text = json_text(at);
    (void)ctx;
    *why = "is nowhere";
    if (text != NULL && strcmp(text, "@") == 0)
        return VALUE_ABSENT;
    return text != NULL && *text == '7' ? VALUE_FETCHED : VALUE_WRITTEN;
}

static const char *decode(struct arena *a, const char *json, struct car *car)
{
    struct heard heard = {a, arena_strdup(a, "")};
    struct problems problems = {.report = hear, .origin = origin, .ctx = &heard};
    *car = (struct car){0};
    bool ok = fields_decode(a, CAR, COUNT(CAR), json_parse_own(a, json), car, &problems);
    cr_assert_eq(ok, problems.errors == 0);
    return heard.all;
}

Test(fields_decode, fills_defaults_for_what_is_left_out)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct car car;
    cr_assert_str_eq(decode(&a, "{\"plate\":\"X1\",\"fuel\":\"e5\",\"doors\":null}", &car), "");
    cr_expect_str_eq(car.engine, "petrol");
    cr_expect_eq(car.doors, 4);
    cr_expect_eq(car.idle_ms, 10000);
    cr_expect_eq(car.trunk_bytes, 65536);
    cr_expect(car.price > 1.49 && car.price < 1.51);
    cr_expect(car.is_new);
    cr_expect_eq(car.colour, GREEN);
    cr_expect_eq(car.lamp.watts, 55);
    cr_expect_null(car.lamp.kind);
    cr_expect_null(car.wheels);
}

Test(fields_decode, reads_every_type)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct car car;
    cr_assert_str_eq(
        decode(&a,
               "{\"plate\":\"X2\",\"fuel\":\"e5\",\"doors\":5,\"idle\":\"1s\",\"trunk\":\"1MiB\","
               "\"price\":2,\"new\":false,\"colour\":\"red\",\"owners\":[\"al\",\"bo\"],"
               "\"extra\":{\"a\":[1]},\"lamp\":{\"kind\":\"led\"},"
               "\"wheels\":[{\"size\":20},{}],\"spares\":{\"one\":{\"size\":10}}}",
               &car),
        "");
    cr_expect_eq(car.doors, 5);
    cr_expect_eq(car.idle_ms, 1000);
    cr_expect_eq(car.trunk_bytes, 1024 * 1024);
    cr_expect_not(car.is_new);
    cr_expect_eq(car.colour, RED);
    cr_expect_eq(car.n_owners, 2);
    cr_expect_str_eq(car.owners[1], "bo");
    cr_expect_eq(json_int_or(json_at(car.extra, "a.0"), 0), 1);
    cr_expect_str_eq(car.lamp.kind, "led");
    cr_expect_eq(car.lamp.watts, 55);
    cr_expect_eq(car.n_wheels, 2);
    cr_expect_eq(car.wheels[0].size, 20);
    cr_expect_eq(car.wheels[1].size, 15);
    cr_expect_str_eq(car.spares[0].name, "one");
    cr_expect_eq(car.spares[0].source->key, car.spares[0].name);
}

#define OK "\"plate\":\"X1\",\"fuel\":\"e5\""

static const struct {
    const char *json, *problems;
} WRONG[] = {
    {"{}", "plate: is required\nfuel: is required\n"},
    {"[]", ": must be a mapping of keys to values\n"},
    {"{" OK ",\"dors\":3}", "dors: is not a known key; did you mean doors?\n"},
    {"{" OK ",\"Wheels\":[]}", "Wheels: is not a known key; did you mean wheels?\n"},
    {"{" OK ",\"helicopter\":3}", "helicopter: is not a known key\n"},
    {"{" OK ",\"doors\":1}", "doors: must be 2 to 5\n"},
    {"{" OK ",\"doors\":6}", "doors: must be 2 to 5\n"},
    {"{" OK ",\"doors\":2.5}", "doors: must be a whole number\n"},
    {"{" OK ",\"doors\":\"4\"}", "doors: must be a whole number\n"},
    {"{" OK ",\"idle\":5}", "idle: must be a whole number and ms, s, m, h or d, as in 15m\n"},
    {"{" OK ",\"idle\":\"999ms\"}", "idle: must be 1s to 1m\n"},
    {"{" OK ",\"idle\":\"61s\"}", "idle: must be 1s to 1m\n"},
    {"{" OK ",\"trunk\":\"2MiB\"}", "trunk: must be 1B to 1MiB\n"},
    {"{" OK ",\"trunk\":\"2MB\"}",
     "trunk: must be a whole number and B, KiB, MiB or GiB, as in 25MiB\n"},
    {"{" OK ",\"trunk\":\"9999999999999GiB\"}",
     "trunk: must be a whole number and B, KiB, MiB or GiB, as in 25MiB\n"},
    {"{" OK ",\"price\":101}", "price: must be 0 to 100\n"},
    {"{" OK ",\"price\":\"2\"}", "price: must be a number\n"},
    {"{" OK ",\"new\":\"true\"}", "new: must be true or false\n"},
    {"{" OK ",\"colour\":\"blue\"}", "colour: must be one of: red, green\n"},
    {"{" OK ",\"colour\":\"gren\"}", "colour: must be one of: red, green; did you mean green?\n"},
    {"{" OK ",\"owners\":\"al\"}", "owners: must be a list of texts, as in [a, b]\n"},
    {"{" OK ",\"owners\":[\"al\",7,\"toolong\"]}",
     "owners.1: must be a text: write it in quotes\nowners.2: is longer than 6 bytes\n"},
    {"{" OK ",\"lamp\":{}}", "lamp.kind: is required\n"},
    {"{" OK ",\"lamp\":[]}", "lamp: must be a mapping of keys to values\n"},
    {"{" OK ",\"lamp\":{\"kind\":\"led\",\"wats\":1}}",
     "lamp.wats: is not a known key; did you mean watts?\n"},
    {"{" OK ",\"wheels\":{}}", "wheels: must be a list\n"},
    {"{" OK ",\"wheels\":[{\"size\":9},3]}",
     "wheels.0.size: must be 10 to 20\nwheels.1: must be a mapping of keys to values\n"},
    {"{" OK ",\"spares\":[]}", "spares: must be a mapping of names to objects\n"},
    {"{" OK ",\"spares\":{\"a b\":{}}}",
     "spares.a b: a name has up to 64 letters, digits, '_', '-' and '.'\n"},
    {"{\"plate\":\"Y1\",\"fuel\":\"e5\"}", "plate: must begin with X\n"},
    {"{\"plate\":\"\",\"fuel\":\"e5\"}", "plate: must not be empty\n"},
    {"{\"plate\":12,\"fuel\":\"e5\"}", "plate: must be a text: write it in quotes\n"},
    {"{\"plate\":\"X12345678\",\"fuel\":\"e5\"}", "plate: is longer than 8 bytes\n"},
    {"{\"plate\":[\"X1\"],\"fuel\":\"e5\"}", "plate: must be a text\n"},
};

Test(fields_decode, reports_every_problem_by_its_path)
{
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct car car;
        const char *got = decode(&a, WRONG[i].json, &car);
        cr_expect_str_eq(got, WRONG[i].problems, "%s: %s", WRONG[i].json, got);
    }
}

Test(fields_decode, asks_only_for_keys_that_apply)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct car car;
    cr_expect_str_eq(decode(&a, "{\"plate\":\"X1\",\"engine\":\"electric\"}", &car),
                     "socket: is required\n");
    cr_expect_str_eq(decode(&a, "{\"plate\":\"X1\",\"engine\":\"fusion\"}", &car),
                     "~engine: fusion is checked, but does nothing in this version\n");
}

Test(fields_decode, warns_of_what_does_nothing_yet_where_it_applies)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct car car;
    cr_expect_str_eq(
        decode(&a, "{\"plate\":\"X1\",\"engine\":\"electric\",\"socket\":\"t2\"}", &car),
        "~socket: is checked, but does nothing in this version\n");
    cr_expect_str_eq(decode(&a, "{" OK ",\"socket\":\"t2\"}", &car), "");
}

Test(fields_decode, misses_a_value_only_where_it_is_used)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct car car;
    cr_expect_str_eq(decode(&a, "{\"plate\":\"@\",\"fuel\":\"e5\"}", &car), "plate: is nowhere\n");
    cr_expect_null(car.plate);
    cr_expect_str_eq(decode(&a, "{" OK ",\"socket\":\"@\"}", &car), "?socket: is nowhere\n");
    cr_expect_str_eq(decode(&a, "{" OK ",\"extra\":{\"a\":[\"@\"]}}", &car),
                     "extra.a.0: is nowhere\n");
    cr_expect_str_eq(decode(&a, "{" OK ",\"owners\":[\"@\",\"bo\"]}", &car),
                     "owners.0: is nowhere\n");
    cr_expect_eq(car.n_owners, 1);
}

Test(fields_decode, lets_text_from_elsewhere_stand_for_a_number)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct car car;
    cr_expect_str_eq(decode(&a, "{" OK ",\"price\":\"7.5\"}", &car), "");
    cr_expect(car.price > 7.4 && car.price < 7.6);
    cr_expect_str_eq(decode(&a, "{" OK ",\"doors\":\"7\"}", &car), "doors: must be 2 to 5\n");
    cr_expect_str_eq(decode(&a, "{" OK ",\"owners\":[\"7\"]}", &car), "");
}

Test(fields_decode, counts_without_anybody_who_listens)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct car car = {0};
    cr_expect_not(fields_decode(&a, CAR, COUNT(CAR), NULL, &car, NULL));
    cr_expect_eq(car.doors, 4);
}

Test(nearest_word, finds_what_was_mistyped_and_nothing_far)
{
    static const char *const WORDS[] = {"signing_secret", "bot_token", "to", "api_base"};
    cr_expect_str_eq(nearest_word("signing_secrt", WORDS, 4), "signing_secret");
    cr_expect_str_eq(nearest_word("singing_secret", WORDS, 4), "signing_secret");
    cr_expect_str_eq(nearest_word("bot-token", WORDS, 4), "bot_token");
    cr_expect_str_eq(nearest_word("ot", WORDS, 4), "to");
    cr_expect_str_eq(nearest_word("sign", WORDS, 4), "signing_secret");
    cr_expect_null(nearest_word("password", WORDS, 4));
    cr_expect_null(nearest_word("x", WORDS, 4));
    cr_expect_null(nearest_word("", WORDS, 4));
}

Test(fields_schema, says_what_the_rows_say)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json *schema = fields_schema(&a, CAR, COUNT(CAR));
    cr_expect_str_eq(json_text_at(schema, "properties.doors.type"), "integer");
    cr_expect_eq(json_int_or(json_at(schema, "properties.doors.maximum"), 0), 5);
    cr_expect_str_eq(json_text_at(schema, "properties.colour.enum.1"), "green");
    cr_expect_str_eq(json_text_at(schema, "properties.wheels.items.properties.size.type"),
                     "integer");
    cr_expect_str_eq(json_write(&a, json_get(schema, "required")), "[\"plate\"]");
    cr_expect_eq(json_at(schema, "additionalProperties")->type, JSON_FALSE);
}

Test(fields_manual, has_a_line_for_every_key)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct strbuf out;
    strbuf_init(&out, &a, 65536);
    fields_manual(&out, CAR, COUNT(CAR), "car.");
    cr_expect_not_null(strstr(out.text, "| `car.plate` | text | required | the plate. |\n"));
    cr_expect_not_null(strstr(out.text, "| `car.doors` | 2 to 5 | `4` | how many. |\n"));
    cr_expect_not_null(strstr(out.text, "| `car.idle` | duration, 1s to 1m | `10s` |"));
    cr_expect_not_null(strstr(out.text, "Only with `engine: electric`. **Not yet**"));
    cr_expect_not_null(strstr(out.text, "| `car.wheels[].size` | 10 to 20 | `15` | inches. |\n"));
    cr_expect_not_null(strstr(out.text, "| `car.spares.NAME.size` |"));
}
