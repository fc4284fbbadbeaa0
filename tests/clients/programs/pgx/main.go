// pgx: a pool of one connection. Ids are strings in Go, as in an application that was written for text.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

func run(ctx context.Context, pool *pgxpool.Pool, kind, item, owner, other string) (string, error) {
	var err error
	var note string
	exec := func(text string, values ...any) {
		_, err = pool.Exec(ctx, text, values...)
	}
	read := func(text string, values ...any) {
		var found []string
		rows, queryError := pool.Query(ctx, text, values...)
		if err = queryError; err != nil {
			return
		}
		defer rows.Close()
		for rows.Next() {
			if err = rows.Scan(&note); err != nil {
				return
			}
			found = append(found, note)
		}
		err = rows.Err()
	}
	switch kind {
	case "insert":
		exec("INSERT INTO item (id, owner_id, note) VALUES ($1, $2, 'x')", item, owner)
	case "by id":
		read("SELECT id FROM item WHERE id = $1", item)
		if note != "" && err == nil {
			return fmt.Sprintf("%T", note), nil
		}
	case "IN":
		read("SELECT note FROM item WHERE id IN ($1, $2)", item, other)
	case "ANY":
		read("SELECT note FROM item WHERE id = ANY ($1)", []string{item, other})
	case "join":
		read("SELECT i.note FROM item i JOIN owner o ON o.id = i.owner_id WHERE o.id = $1", owner)
	case "update":
		exec("UPDATE item SET owner_id = $1 WHERE id = $2", owner, item)
	case "delete":
		exec("DELETE FROM item WHERE id = $1", item)
	}
	return "", err
}

func main() {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("CLIENT_URL"))
	if err != nil {
		panic("the URL is not one")
	}
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	fmt.Println("ok\t")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		said := strings.Split(lines.Text(), "\t")
		read, err := run(ctx, pool, said[0], said[1], said[2], said[3])
		if err != nil {
			fmt.Println("error\t" + strings.Join(strings.Fields(err.Error()), " "))
			continue
		}
		fmt.Println("ok\t" + read)
	}
}
